// Errors with the properties by which TypeScript knows them.
#include "errors.h"

#include <cerrno>
#include <cstring>

Napi::Error ErrnoError(Napi::Env env, const char* syscall, int err) {
  Napi::Error error = Napi::Error::New(env, std::string(syscall) + ": " + strerror(err));
  error.Set("errno", Napi::Number::New(env, err));
  error.Set("syscall", Napi::String::New(env, syscall));
  return error;
}

Napi::Error CodedError(Napi::Env env, const char* code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  return error;
}

Napi::Error ClosedError(Napi::Env env, const char* what) {
  return CodedError(env, "ERR_CLOSED", std::string(what) + " is closed");
}

Napi::TypeError ArgumentError(Napi::Env env, const std::string& message) {
  Napi::TypeError error = Napi::TypeError::New(env, message);
  error.Set("code", Napi::String::New(env, "ERR_ARGUMENT"));
  return error;
}

Napi::TypeError RefusedError(Napi::Env env, const std::string& message) {
  Napi::TypeError error = Napi::TypeError::New(env, message);
  error.Set("code", Napi::String::New(env, "ERR_IOCTL_REFUSED"));
  return error;
}

Napi::Value Answer(Napi::Env env, int result) { return Napi::Number::New(env, result < 0 ? -errno : result); }
