// What JavaScript and a handle hand each other without arguments, and functions that need no look at `this`: a call of one
// costs little more than the system call in it.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "errors.h"

// Memory that a handle's JavaScript and its C++ both reach. Numbers at its begin, then the argument of an ioctl.
class Desk {
 public:
  // In doubles.
  enum Number : size_t { kStampNs, kSeconds, kEndsNs, kAgain, kNumbers = 8 };
  static constexpr size_t kArgumentRoom = 1024;

  double& number(Number which) const { return memory_->numbers[which]; }
  uint8_t* argument() const { return memory_->argument; }

  // The one buffer over it, which may outlive the handle.
  Napi::Value Buffer(Napi::Env env);

 private:
  struct Memory {
    double numbers[kNumbers] = {};
    uint8_t argument[kArgumentRoom] = {};
  };
  std::shared_ptr<Memory> memory_ = std::make_shared<Memory>();
  Napi::Reference<Napi::ArrayBuffer> buffer_;
};

// A function that is `method` of one object, whatever `this` is. It does not keep the object alive: called later than that, it
// throws as a closed handle does.
template <typename T>
class BoundFunctions {
 public:
  explicit BoundFunctions(T* object) : self_(std::make_shared<T*>(object)) {}
  ~BoundFunctions() { *self_ = nullptr; }
  BoundFunctions(const BoundFunctions&) = delete;
  BoundFunctions& operator=(const BoundFunctions&) = delete;

  // Made when it is first asked for; `kept` holds it.
  template <Napi::Value (T::*method)(const Napi::CallbackInfo&)>
  Napi::Value Get(Napi::Env env, const char* name, Napi::FunctionReference& kept) const {
    if (kept.IsEmpty()) {
      auto held = std::make_unique<Self>(self_);
      Napi::Function made = Napi::Function::New<Call<method>>(env, name, held.get());
      made.AddFinalizer([](Napi::Env, Self* gone) { delete gone; }, held.get());
      held.release();
      kept = Napi::Persistent(made);
    }
    return kept.Value();
  }

 private:
  using Self = std::shared_ptr<T*>;

  template <Napi::Value (T::*method)(const Napi::CallbackInfo&)>
  static Napi::Value Call(const Napi::CallbackInfo& info) {
    T* object = **static_cast<Self*>(info.Data());
    if (!object) throw ClosedError(info.Env(), T::kName);
    return (object->*method)(info);
  }

  Self self_;
};
