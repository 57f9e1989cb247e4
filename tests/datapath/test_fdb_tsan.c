/* cc: -pthread -fsanitize=thread */
/* The threads of test_fdb_threads.c under ThreadSanitizer, which sees races that did no harm. */
#define ROUNDS 30000u
#include "test_fdb_threads.c"
