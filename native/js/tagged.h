// A class of the addon whose objects are known by a tag that JavaScript can neither give nor take.
#pragma once

#include <napi.h>

#include <cstdint>
#include <string>

#include "addon.h"
#include "errors.h"

// The base of each class. `T` has a `kTag`, a number of its own, and a `kName`. Prototypes, Symbol.hasInstance and Proxies
// do not matter, and asking runs no JavaScript.
template <typename T>
class Tagged : public Napi::ObjectWrap<T> {
 public:
  explicit Tagged(const Napi::CallbackInfo& info) : Napi::ObjectWrap<T>(info) {
    napi_type_tag tag = Tag();
    if (napi_type_tag_object(info.Env(), info.This(), &tag) != napi_ok) throw Napi::Error::New(info.Env());
  }

  // The one that `value` is; null for anything else.
  static T* Of(const Napi::Value& value) {
    Napi::Env env = value.Env();
    napi_type_tag tag = Tag();
    bool tagged = false;
    void* wrapped = nullptr;
    // A primitive would be made an object for the question.
    if (!value.IsObject() || napi_check_object_type_tag(env, value, &tag, &tagged) != napi_ok || !tagged) return nullptr;
    // One whose constructor has thrown has the tag, and nothing behind it.
    if (napi_unwrap(env, value, &wrapped) != napi_ok) return nullptr;
    return static_cast<T*>(wrapped);
  }

  // What node-addon-api calls for the `this` of a method.
  static T* Unwrap(const Napi::Value& value) {
    T* object = Of(value);
    if (!object) throw ArgumentError(value.Env(), std::string("this is no ") + T::kName + " of the addon");
    return object;
  }

 protected:
  // A new one, of parts that no JavaScript can give.
  template <typename Parts>
  static Napi::Value MakeOf(Napi::Env env, const Napi::FunctionReference& constructor, Parts& parts) {
    Handover& handover = Addon::Of(env).handover;
    handover = {T::kTag, &parts};
    struct Taken {
      Handover& handover;
      ~Taken() { handover = {}; }
    } taken{handover};
    return constructor.New({});
  }

  // For the constructor: the parts, or null if it is JavaScript that calls it.
  template <typename Parts>
  static Parts* Given(Napi::Env env) {
    Handover& handover = Addon::Of(env).handover;
    if (handover.tag != T::kTag) return nullptr;
    auto* parts = static_cast<Parts*>(handover.parts);
    handover = {};
    return parts;
  }

 private:
  // The upper half is of this copy of the addon: another one's classes may look different.
  static napi_type_tag Tag() { return {T::kTag, reinterpret_cast<uint64_t>(&Addon::Of)}; }
};
