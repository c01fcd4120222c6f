#pragma once

#include <napi.h>

// The addon's classes, once per JavaScript environment: a worker has its own.
struct Constructors {
  Napi::FunctionReference mapping;
  Napi::FunctionReference vm;
  Napi::FunctionReference vcpu;

  static Constructors& Of(Napi::Env env) { return *env.GetInstanceData<Constructors>(); }
};
