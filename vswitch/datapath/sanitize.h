/* sanitize.h - tell AddressSanitizer what it cannot know: where a piece of our memory ends.
 *
 * Our memory is mapped in large pieces, which to the sanitizer are one object each.  In its build
 * (VSWITCH_BUILD=asan) every frame in a ring, and every piece, is followed by bytes nobody may
 * touch; in any other build all of this is nothing.
 */
#ifndef VSW_SANITIZE_H
#define VSW_SANITIZE_H

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define VSW_REDZONE 32u
#define vsw_poison(at, size) ASAN_POISON_MEMORY_REGION(at, size)
#define vsw_unpoison(at, size) ASAN_UNPOISON_MEMORY_REGION(at, size)
#else
#define VSW_REDZONE 0u
#define vsw_poison(at, size) ((void)(at), (void)(size))
#define vsw_unpoison(at, size) ((void)(at), (void)(size))
#endif

#endif
