#include "handle.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "request.h"

Napi::Error ErrnoError(Napi::Env env, const char* syscall, int err) {
  Napi::Error error = Napi::Error::New(env, std::string(syscall) + ": " + strerror(err));
  error.Set("errno", Napi::Number::New(env, err));
  error.Set("syscall", Napi::String::New(env, syscall));
  return error;
}

Napi::Error ClosedError(Napi::Env env, const char* what) {
  Napi::Error error = Napi::Error::New(env, std::string(what) + " is closed");
  error.Set("code", Napi::String::New(env, "ERR_CLOSED"));
  return error;
}

Napi::TypeError ArgumentError(Napi::Env env, const std::string& message) {
  Napi::TypeError error = Napi::TypeError::New(env, message);
  error.Set("code", Napi::String::New(env, "ERR_ARGUMENT"));
  return error;
}

uint64_t IntegerArgument(const Napi::CallbackInfo& info, size_t index, const char* name, double max) {
  Napi::Value value = info[index];
  double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0 && number <= max) || number != std::floor(number))
    throw ArgumentError(info.Env(), std::string(name) + " is not an integer in its range");
  return static_cast<uint64_t>(number);
}

uint64_t BigIntArgument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  bool lossless = false;
  uint64_t number = 0;
  if (info[index].IsBigInt()) number = info[index].As<Napi::BigInt>().Uint64Value(&lossless);
  if (!lossless) throw ArgumentError(info.Env(), std::string(name) + " is not a bigint in 0..2^64-1");
  return number;
}

Bytes BytesOf(const Napi::Value& value, const char* name) {
  if (value.IsDataView()) {
    auto view = value.As<Napi::DataView>();
    return {static_cast<uint8_t*>(view.Data()), view.ByteLength()};
  }
  if (!value.IsTypedArray()) throw ArgumentError(value.Env(), std::string(name) + " is not a buffer");
  auto array = value.As<Napi::TypedArray>();
  return {static_cast<uint8_t*>(array.ArrayBuffer().Data()) + array.ByteOffset(), array.ByteLength()};
}

Bytes BytesArgument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  return BytesOf(info[index], name);
}

OwnedFd& OwnedFd::operator=(OwnedFd&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = other.fd_;
    other.fd_ = -1;
  }
  return *this;
}

void OwnedFd::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

Napi::Value CheckedIoctl(const Napi::CallbackInfo& info, int fd) {
  Napi::Env env = info.Env();
  auto request = static_cast<uint32_t>(IntegerArgument(info, 0, "request", UINT32_MAX));
  int result;
  if (info[1].IsTypedArray() || info[1].IsDataView()) {
    Bytes bytes = BytesArgument(info, 1, "argument");
    size_t room = CheckBuffer(env, request, bytes.data, bytes.size);
    if (room == 0) {
      result = ioctl(fd, request, bytes.data);
    } else {
      std::vector<uint8_t> copy(room);
      memcpy(copy.data(), bytes.data, bytes.size);
      // What was checked may have changed since, where the bytes are memory that a guest shares.
      CheckBuffer(env, request, copy.data(), bytes.size);
      result = ioctl(fd, request, copy.data());
      int saved = errno;
      memcpy(bytes.data, copy.data(), bytes.size);
      errno = saved;
    }
  } else {
    CheckNoBuffer(env, request);
    unsigned long argument = info[1].IsUndefined() ? 0 : IntegerArgument(info, 1, "argument", MAX_SAFE_INTEGER);
    result = ioctl(fd, request, argument);
  }
  return Napi::Number::New(env, result < 0 ? -errno : result);
}
