// Included before everything else of a prebuild for musl: libstdc++'s headers are those of a compiler for glibc. What they take for
// granted there, and the addon's code needs, is named here; what musl lacks is switched off.
#define __GLIBC_PREREQ(major, minor) 0
#include <locale.h>
#include "glibc.h"
typedef locale_t __locale_t;
#define __uselocale uselocale
