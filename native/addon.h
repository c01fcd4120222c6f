#pragma once

// An environment that is being terminated takes no exception. Without this, node-addon-api ends the process when a call
// into it or out of it fails at that moment.
#ifndef NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#error "binding.gyp defines NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
#endif

#include <napi.h>

#include <memory>

class Poller;
class Wake;

// The addon's classes, once per JavaScript environment: a worker has its own.
struct Constructors {
  Napi::FunctionReference mapping;
  Napi::FunctionReference system;
  Napi::FunctionReference vm;
  Napi::FunctionReference vcpu;
  Napi::FunctionReference event_fd;
  Napi::FunctionReference device;
  Napi::FunctionReference stats;
  Napi::FunctionReference vfio_file;
  // Made by the first wait on an EventFd.
  std::shared_ptr<Poller> poller;
  // The way from the vCPUs' threads back to JavaScript, made when the first of them starts.
  std::shared_ptr<Wake> wake;

  static Constructors& Of(Napi::Env env) { return *env.GetInstanceData<Constructors>(); }
};
