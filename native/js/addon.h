// What the addon keeps for each JavaScript environment.
#pragma once

// An environment that is being terminated takes no exception. Without this, node-addon-api ends the process when a call
// into it or out of it fails at that moment.
#ifndef NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#error "binding.gyp defines NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
#endif

#include <napi.h>

#include <cstdint>
#include <memory>

#include "constructors.h"
#include "desk.h"

class Poller;
class Vcpu;
class Vm;
class Wake;

// What C++ has for the object that it is making now, and of which class that is.
struct Handover {
  uint64_t tag = 0;
  void* parts = nullptr;
};

struct Addon {
  Constructors constructors;
  Handover handover;
  // Held by each of their objects as well, which may go after this.
  std::shared_ptr<Numbered<Vm>> vms = std::make_shared<Numbered<Vm>>();
  std::shared_ptr<Numbered<Vcpu>> vcpus = std::make_shared<Numbered<Vcpu>>();
  // Made by the first wait on an EventFd.
  std::shared_ptr<Poller> poller;
  // The way from the vCPUs' threads back to JavaScript, made when the first of them starts.
  std::shared_ptr<Wake> wake;

  static Addon& Of(Napi::Env env) { return *env.GetInstanceData<Addon>(); }
};
