/* lua.c - examples/hooks/lua.c: a program prints the same in a state on Lua's own allocator, in a heap and in an arena; what a
 * state takes it gives back, by size; and memory that is out at each allocation is LUA_ERRMEM, after which the state works.
 *
 *     lua SCRIPT [ARGUMENT]
 */
#include "hooks.h"

#define main example_main
#include "../../examples/hooks/lua.c"
#undef main

static char **arguments;

static void run_script(lua_State *L)
{
    CHECK(L && start(L) == LUA_OK);
    lua_newtable(L);
    for (int i = 1; arguments[i]; i++) {
        lua_pushstring(L, arguments[i]);
        lua_rawseti(L, -2, i - 1);
    }
    lua_setglobal(L, "arg");
    if (luaL_dofile(L, arguments[1]) != LUA_OK) {
        printf("error: %s\n", lua_tostring(L, -1));
    }
}

static void plain(void *arg)
{
    (void)arg;
    lua_State *L = luaL_newstate();
    run_script(L);
    lua_close(L);
}

static void in_a_heap(void *arg)
{
    (void)arg;
    struct allot_heap heap;
    CHECK(allot_heap_init(&heap, NULL) == 0);
    struct ration r = {.from = allot_allocator_heap(&heap), .left = -1};
    struct allot_allocator from = ration_allocator(&r);
    lua_State *L = lua_newstate(lua_memory, &from);
    run_script(L);
    lua_close(L);
    CHECK(r.blocks == 0 && r.bytes == 0 && r.taken > 1000 && heap_blocks(&heap) == 0 && allot_heap_check(&heap));
    allot_heap_done(&heap);
}

static void in_malloc(void *arg)
{
    (void)arg;
    struct allot_stats before, after;
    allot_stats(&before);
    struct allot_allocator from = allot_allocator_malloc();
    lua_State *L = lua_newstate(lua_memory, &from);
    run_script(L);
    lua_close(L);
    allot_stats(&after);
    CHECK(after.blocks == before.blocks && allot_check());
}

static void in_an_arena(void *arg)
{
    (void)arg;
    struct allot_arena arena;
    CHECK(allot_arena_init(&arena, NULL) == 0);
    struct allot_allocator from = allot_arena_allocator(&arena);
    run_script(lua_newstate(lua_memory, &from));
    CHECK(allot_arena_check(&arena));
    allot_arena_done(&arena);
}

/* What makes a state allocate, of each kind. */
static const char small[] =
    "local t, s = {}, ''\n"
    "for i = 1, 40 do t[i] = function() return i end s = s .. i t['k' .. i] = {i} end\n"
    "local co = coroutine.wrap(function(a, ...) local b = coroutine.yield(a, ...) return b end)\n"
    "co(1, table.unpack(t, 1, 30))\n"
    "local w = setmetatable({}, {__mode = 'k', __gc = function() end})\n"
    "w[t[1]] = string.rep('y', 300, ',')\n"
    "for i = 1, 40 do t['k' .. i] = nil end\n"
    "collectgarbage()\n"
    "table.sort(t, function(a, b) return a() > b() end)\n"
    "return #s + #s:gsub('%d', '%0%0') + t[1]() + load('return 5 * 5')()\n";

static void runs_out(void)
{
    struct allot_heap heap;
    CHECK(allot_heap_init(&heap, NULL) == 0);
    long failures = 0, survived = 0;
    for (int once = 0; once < 2; once++) {
        for (long n = 0;; n++) {
            struct ration r = {.from = allot_allocator_heap(&heap), .left = n, .once = once};
            struct allot_allocator from = ration_allocator(&r);
            long result;
            lua_State *L = lua_newstate(lua_memory, &from);
            int status = L ? start(L) : LUA_ERRMEM;
            bool began = status == LUA_OK;
            if (began) {
                status = run(L, small, &result);
            }
            CHECK(status == LUA_ERRMEM || (status == LUA_OK && result == 278));
            CHECK(status == LUA_OK || r.failed > 0);
            bool failed = r.failed > 0;
            failures += failed;
            r.left = -1;
            if (began && status == LUA_ERRMEM) {
                CHECK(run(L, small, &result) == LUA_OK && result == 278);
                survived++;
            }
            if (L) {
                lua_close(L);
            }
            CHECK(r.blocks == 0 && r.bytes == 0 && heap_blocks(&heap) == 0);
            if (!failed) {
                break;
            }
        }
    }
    CHECK(failures > 1000 && survived > 100);
    CHECK(allot_heap_check(&heap));
    allot_heap_done(&heap);
}

/* The system has no more. */
static void system_runs_out(void)
{
    struct allot_allocator from = allot_allocator_malloc();
    lua_State *L = lua_newstate(lua_memory, &from);
    long result;
    CHECK(L && start(L) == LUA_OK);
    allot_fail_after(0);
    int status = run(L, greedy, &result);
    allot_fail_after(-1);
    CHECK(status == LUA_ERRMEM);
    CHECK(run(L, small, &result) == LUA_OK && result == 278);
    lua_close(L);
}

int main(int argc, char **argv)
{
    CHECK(argc >= 2);
    arguments = argv;
    char *wanted = output_of(plain, NULL);
    CHECK(strlen(wanted) > 100);
    void (*const ways[])(void *) = {in_a_heap, in_malloc, in_an_arena};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char *text = output_of(ways[i], NULL);
        if (strcmp(text, wanted) != 0) {
            fprintf(stderr, "without hooks:\n%swith, way %zu:\n%s", wanted, i, text);
            CHECK(!"the same output");
        }
        free(text);
    }
    free(wanted);
    runs_out();
    system_runs_out();
}
