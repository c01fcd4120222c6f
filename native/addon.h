#pragma once

#include <napi.h>

#include <memory>

class Wake;

// The addon's classes, once per JavaScript environment: a worker has its own.
struct Constructors {
  Napi::FunctionReference mapping;
  Napi::FunctionReference vm;
  Napi::FunctionReference vcpu;
  // The way from the vCPUs' threads back to JavaScript, made when the first of them starts.
  std::shared_ptr<Wake> wake;

  static Constructors& Of(Napi::Env env) { return *env.GetInstanceData<Constructors>(); }
};
