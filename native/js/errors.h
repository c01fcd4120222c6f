// What the addon throws, and what it returns for an ioctl.
#pragma once

#include <napi.h>

#include <string>

// Errors that TypeScript turns into its own classes: `errno` and `syscall`, or `code`.
Napi::Error ErrnoError(Napi::Env env, const char* syscall, int err);
Napi::Error CodedError(Napi::Env env, const char* code, const std::string& message);
Napi::Error ClosedError(Napi::Env env, const char* what);
Napi::TypeError ArgumentError(Napi::Env env, const std::string& message);
Napi::TypeError RefusedError(Napi::Env env, const std::string& message);

// What an ioctl that was made just now has answered: its result, or errno negated.
Napi::Value Answer(Napi::Env env, int result);
