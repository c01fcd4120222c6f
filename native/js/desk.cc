// The buffer over a handle's desk.
#include "desk.h"

Napi::Value Desk::Buffer(Napi::Env env) {
  if (buffer_.IsEmpty()) {
    using Held = std::shared_ptr<Memory>;
    auto buffer = Napi::ArrayBuffer::New(
        env, memory_.get(), sizeof(Memory), [](Napi::Env, void*, Held* hint) { delete hint; }, new Held(memory_));
    buffer_ = Napi::Persistent(buffer);
  }
  return buffer_.Value();
}
