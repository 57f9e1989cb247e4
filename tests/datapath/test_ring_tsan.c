/* cc: -pthread -fsanitize=thread */
/* test_ring.c under ThreadSanitizer, which sees races that did no harm. */
#include "test_ring.c"
