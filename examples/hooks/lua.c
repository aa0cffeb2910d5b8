/* lua.c - Lua on allot's memory: the hook that lua_newstate asks for, over any allot_allocator.
 *
 * lua_Alloc is told the old size with every call, so it maps one to one: nothing has to remember sizes, and a state can lie in an
 * arena. Here a long-lived state lies in a heap of its own with a limit, and goes in one call, without lua_close; and states for
 * short scripts lie in an arena, one after another, where what Lua's collector frees stays until the script is over.
 *
 *     cc lua.c $(pkg-config --cflags --libs lua5.4 allot)
 */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <stdio.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <allot/allocator.h>
#include <allot/arena.h>
#include <allot/heap.h>
#include <allot/tag.h>

#define LUA_ALIGN _Alignof(max_align_t)

/* The hook; `ud` is a struct allot_allocator. Without a block, `old` is the kind of object to come. NULL may be returned for a
 * block that is to become shorter as well; Lua before 5.4 cannot stand that. */
static void *lua_memory(void *ud, void *p, size_t old, size_t now)
{
    struct allot_allocator from = *(struct allot_allocator *)ud;
    if (now == 0) {
        allot_give(from, p, old, LUA_ALIGN);
        return NULL;
    }
    return allot_retake(from, p, p ? old : 0, now, LUA_ALIGN);
}

/* A protected start: also opening the libraries may run out of memory. */
static int open_libraries(lua_State *L)
{
    luaL_openlibs(L);
    return 0;
}

static int start(lua_State *L)
{
    lua_pushcfunction(L, open_libraries);
    return lua_pcall(L, 0, 0, 0);
}

/* Runs a script that returns a number. LUA_OK, or Lua's error. */
static int run(lua_State *L, const char *script, long *result)
{
    int status = luaL_loadstring(L, script);
    if (status == LUA_OK) {
        status = lua_pcall(L, 0, 1, 0);
    }
    *result = status == LUA_OK ? (long)lua_tointeger(L, -1) : -1;
    lua_settop(L, 0);
    return status;
}

static const char work[] = "local words = {}\n"
                           "for i = 1, 2000 do words[i] = ('%d:%s'):format(i * 7919 % 2003, ('x'):rep(i % 30)) end\n"
                           "table.sort(words)\n"
                           "local text = table.concat(words, ',')\n"
                           "return #text + select(2, text:gsub('x+', ''))\n";

static const char greedy[] = "local all = {} while true do all[#all + 1] = ('x'):rep(1000) .. #all end";

int main(void)
{
    long result;

    /* A state that lives long: a heap of its own, which counts it, and a limit. */
    struct allot_tag *tag = allot_tag("lua", 4 << 20);
    struct allot_heap heap;
    assert(tag && allot_heap_init(&heap, &(struct allot_heap_opts){.tag = tag}) == 0);
    struct allot_allocator from = allot_allocator_heap(&heap);
    lua_State *L = lua_newstate(lua_memory, &from);
    assert(L && start(L) == LUA_OK);
    assert(run(L, work, &result) == LUA_OK && result == 41749);
    assert(run(L, greedy, &result) == LUA_ERRMEM);
    assert(run(L, work, &result) == LUA_OK && result == 41749);
    printf("lua: %zu bytes in use, of at most 4 MiB\n", allot_tag_used(tag));
    allot_heap_done(&heap); /* with the state and all that it held; what it would have finalised is not */
    assert(allot_tag_used(tag) == 0);

    /* A state for each request: an arena, which stays warm. */
    struct allot_arena arena;
    struct allot_arena_stats stats;
    assert(allot_arena_init(&arena, NULL) == 0);
    from = allot_arena_allocator(&arena);
    uint64_t held = 0;
    for (int request = 0; request < 20; request++) {
        L = lua_newstate(lua_memory, &from);
        assert(L && start(L) == LUA_OK);
        assert(run(L, work, &result) == LUA_OK && result == 41749);
        allot_arena_reset(&arena, SIZE_MAX);
        allot_arena_stats(&arena, &stats);
        assert(request == 0 || stats.use.held == held);
        held = stats.use.held;
    }
    printf("lua: each of 20 requests in the same %llu bytes\n", (unsigned long long)held);
    allot_arena_done(&arena);
    return 0;
}
