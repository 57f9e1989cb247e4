/* cc: -pthread -fsanitize=thread */
/* test_event.c under ThreadSanitizer, which sees races that did no harm. */
#include "test_event.c"
