// Guest memory.
#pragma once

#include <napi.h>

#include <memory>

#include "../core/mapped_range.h"
#include "tagged.h"
#include "view.h"

// Guest memory as JavaScript holds it: `new Mapping(bytes)`, `read(offset, into)`, `write(offset, bytes)`, `buffer`, `close()`.
class Mapping : public Tagged<Mapping> {
 public:
  static constexpr uint64_t kTag = 3;
  static constexpr const char* kName = "Mapping";

  static Napi::Function Define(Napi::Env env);
  explicit Mapping(const Napi::CallbackInfo& info);

  // Throws if it is closed.
  const std::shared_ptr<MappedRange>& range(Napi::Env env) const;

 private:
  void Read(const Napi::CallbackInfo& info);
  void Write(const Napi::CallbackInfo& info);
  Napi::Value Buffer(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  std::shared_ptr<MappedRange> range_;
  MappedView view_;
};
