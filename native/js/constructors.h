// The addon's classes, once per JavaScript environment: a worker has its own.
#pragma once

#include <napi.h>

struct Constructors {
  Napi::FunctionReference vm;
  Napi::FunctionReference vcpu;
  Napi::FunctionReference device;
  Napi::FunctionReference stats;
  Napi::FunctionReference vfio_file;

  static Constructors& Of(Napi::Env env);
};
