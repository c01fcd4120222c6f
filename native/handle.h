#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <string>

constexpr double MAX_SAFE_INTEGER = 9007199254740991.0;

// Errors that TypeScript turns into its own classes: `errno` and `syscall`, or `code`.
Napi::Error ErrnoError(Napi::Env env, const char* syscall, int err);
Napi::Error ClosedError(Napi::Env env, const char* what);
Napi::TypeError ArgumentError(Napi::Env env, const std::string& message);

// Argument `index` as an integer in 0..max.
uint64_t IntegerArgument(const Napi::CallbackInfo& info, size_t index, const char* name, double max);

// Argument `index` as a bigint in 0..2^64-1.
uint64_t BigIntArgument(const Napi::CallbackInfo& info, size_t index, const char* name);

// The bytes of a typed array or a DataView. They are JavaScript's: good until the call into the addon returns.
struct Bytes {
  uint8_t* data;
  size_t size;
};
Bytes BytesOf(const Napi::Value& value, const char* name);

// Argument `index` as bytes.
Bytes BytesArgument(const Napi::CallbackInfo& info, size_t index, const char* name);

// A file descriptor with one owner. KVM keeps a VM alive for as long as one of its vCPUs is open, so these close in
// any order.
class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  OwnedFd& operator=(OwnedFd&& other) noexcept;
  ~OwnedFd() { Close(); }

  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  void Close();

 private:
  int fd_ = -1;
};

// ioctl(request, argument) on `fd`, called from JavaScript as handle.ioctl(request, buffer | integer): the result, or
// the errno negated. The buffer is checked against the request before the kernel sees it (request.h).
Napi::Value CheckedIoctl(const Napi::CallbackInfo& info, int fd);
