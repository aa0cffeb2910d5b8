/* producers COUNT PAIRS LEAST MOST - stages of a pipeline: a thread only makes messages, its partner only frees them; COUNT
 * parcels of 64 messages for each of PAIRS pairs. The parcel is a block too. */
#include "crew.h"

enum { PARCEL = 64, MOST_PAIRS = 64 };

static uint64_t count;
static size_t pairs, least, most;
static struct mailbox mailbox[MOST_PAIRS];

static void produce(struct mailbox *box, uint64_t state)
{
    for (uint64_t i = 0; i < count; i++) {
        void **parcel = table(PARCEL);
        for (int m = 0; m < PARCEL; m++)
            parcel[m] = make(some_size(&state, least, most));
        post(box, parcel);
    }
}

static uint64_t consume(struct mailbox *box)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++)
        sum += finish_all(take(box), PARCEL);
    return sum;
}

static void *work(void *argument)
{
    size_t me = (uintptr_t)argument;
    if (me >= pairs)
        return (void *)(uintptr_t)consume(&mailbox[me - pairs]);
    produce(&mailbox[me], me);
    return NULL;
}

int main(int argc, char **argv)
{
    count = number(argc, argv, 1), pairs = number(argc, argv, 2);
    least = number(argc, argv, 3), most = number(argc, argv, 4);
    if (pairs > MOST_PAIRS)
        fail("too many pairs");
    for (size_t i = 0; i < pairs; i++)
        mailbox_init(&mailbox[i]);
    print_sum(crew(2 * pairs, work));
    return 0;
}
