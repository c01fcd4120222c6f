// New random numbers of the kernel's.
//
// Source: include/uapi/linux/random.h.
#include "random.h"

#include <fcntl.h>
#include <linux/random.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "../core/owned_fd.h"
#include "arguments.h"
#include "errors.h"

#ifndef RNDRESEEDCRNG
#define RNDRESEEDCRNG _IO('R', 0x07)
#endif

// (seed): up to 256 bytes become part of the kernel's entropy, and what it gives from now on comes from that. 0, or the errno
// negated.
Napi::Value ReseedRandom(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Bytes seed = BytesArgument(info, 0, "seed");
  alignas(rand_pool_info) uint8_t request[sizeof(rand_pool_info) + 256] = {};
  auto* pool = reinterpret_cast<rand_pool_info*>(request);
  size_t size = std::min<size_t>(seed.size, 256);
  pool->entropy_count = static_cast<int>(size * 8);
  pool->buf_size = static_cast<int>(size);
  memcpy(request + sizeof(rand_pool_info), seed.data, size);
  OwnedFd fd(open("/dev/urandom", O_WRONLY | O_CLOEXEC));
  bool done = fd.open() && ioctl(fd.get(), RNDADDENTROPY, pool) == 0 && ioctl(fd.get(), RNDRESEEDCRNG) == 0;
  return Napi::Number::New(env, done ? 0 : -errno);
}
