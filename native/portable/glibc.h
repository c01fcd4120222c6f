// Included before everything else of a prebuild: std::condition_variable and std::timed_mutex then do without pthread_cond_clockwait and
// pthread_mutex_clocklock, which glibc has since 2.30, as libstdc++ did before.
#include <bits/c++config.h>
#undef _GLIBCXX_USE_PTHREAD_COND_CLOCKWAIT
#undef _GLIBCXX_USE_PTHREAD_MUTEX_CLOCKLOCK
