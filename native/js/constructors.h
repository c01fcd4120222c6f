// The addon's classes, once per JavaScript environment: a worker has its own.
#pragma once

#include <napi.h>

struct Constructors {
  Napi::FunctionReference mapping;
  Napi::FunctionReference system;
  Napi::FunctionReference vm;
  Napi::FunctionReference vcpu;
  Napi::FunctionReference event_fd;
  Napi::FunctionReference device;
  Napi::FunctionReference stats;
  Napi::FunctionReference vfio_file;

  static Constructors& Of(Napi::Env env);
};
