// What a prebuild needs so that it loads with every glibc from 2.28 on, though the one that it is built with is newer: functions that
// moved from libpthread and libdl into libc got new versions there, and some are new. The linker's --wrap leads every use here, those
// of the static libstdc++ and libgcc as well (CMakeLists.txt has the list).
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>

// The version that the first glibc of this architecture had.
#if defined(__x86_64__)
#define FIRST "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define FIRST "GLIBC_2.17"
#endif

#define OLD(result, name, parameters, arguments)                                    \
  extern "C" result old_##name parameters;                                          \
  __asm__(".symver old_" #name ", " #name "@" FIRST);                               \
  extern "C" result __wrap_##name parameters;                                       \
  extern "C" result __wrap_##name parameters { return old_##name arguments; }

OLD(int, pthread_sigmask, (int how, const sigset_t* set, sigset_t* old), (how, set, old))
OLD(int, pthread_kill, (pthread_t thread, int signal), (thread, signal))
OLD(int, pthread_once, (pthread_once_t * once, void (*run)()), (once, run))
OLD(int, pthread_key_create, (pthread_key_t * key, void (*end)(void*)), (key, end))
OLD(int, __pthread_key_create, (pthread_key_t * key, void (*end)(void*)), (key, end))
OLD(int, pthread_key_delete, (pthread_key_t key), (key))
OLD(void*, pthread_getspecific, (pthread_key_t key), (key))
OLD(int, pthread_setspecific, (pthread_key_t key, const void* value), (key, value))
OLD(int, pthread_detach, (pthread_t thread), (thread))
OLD(int, pthread_join, (pthread_t thread, void** result), (thread, result))
OLD(int, pthread_create, (pthread_t * thread, const pthread_attr_t* how, void* (*run)(void*), void* of),
    (thread, how, run, of))
OLD(int, pthread_mutex_trylock, (pthread_mutex_t * mutex), (mutex))
OLD(void*, dlopen, (const char* name, int flags), (name, flags))
OLD(void*, dlsym, (void* library, const char* name), (library, name))
OLD(int, dladdr, (const void* address, Dl_info* found), (address, found))

#if defined(__x86_64__)
#undef FIRST
#define FIRST "GLIBC_2.12"
#endif
OLD(int, pthread_setname_np, (pthread_t thread, const char* name), (thread, name))
