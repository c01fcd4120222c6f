#include "handle.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <string>

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
  unsigned long argument = 0;
  if (info[1].IsTypedArray() || info[1].IsDataView()) {
    uint8_t* data = nullptr;
    size_t size = 0;
    if (info[1].IsDataView()) {
      auto view = info[1].As<Napi::DataView>();
      data = static_cast<uint8_t*>(view.Data());
      size = view.ByteLength();
    } else {
      auto array = info[1].As<Napi::TypedArray>();
      data = static_cast<uint8_t*>(array.ArrayBuffer().Data()) + array.ByteOffset();
      size = array.ByteLength();
    }
    CheckBuffer(env, request, data, size);
    argument = reinterpret_cast<unsigned long>(data);
  } else {
    CheckNoBuffer(env, request);
    if (!info[1].IsUndefined()) argument = IntegerArgument(info, 1, "argument", MAX_SAFE_INTEGER);
  }
  int result = ioctl(fd, request, argument);
  return Napi::Number::New(env, result < 0 ? -errno : result);
}
