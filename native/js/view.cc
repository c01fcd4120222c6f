// ArrayBuffers over memory that is not JavaScript's.
#include "view.h"

#include <cerrno>
#include <utility>

#include "errors.h"

std::shared_ptr<MappedRange> Mapped(Napi::Env env, std::shared_ptr<MappedRange> range) {
  if (!range) throw ErrnoError(env, "mmap", errno);
  return range;
}

namespace {

using Held = std::shared_ptr<std::shared_ptr<MappedRange>>;

Napi::ArrayBuffer ViewOf(Napi::Env env, const Held& held) {
  return Napi::ArrayBuffer::New(
      env, (*held)->data(), (*held)->size(), [](Napi::Env, void*, Held* hint) { delete hint; }, new Held(held));
}

}  // namespace

Napi::ArrayBuffer ViewOf(Napi::Env env, const std::shared_ptr<MappedRange>& range) {
  return ViewOf(env, std::make_shared<std::shared_ptr<MappedRange>>(range));
}

void MappedView::Open(Napi::Env env, const std::shared_ptr<MappedRange>& range) {
  held_ = std::make_shared<std::shared_ptr<MappedRange>>(range);
  Napi::ArrayBuffer buffer = ViewOf(env, held_);
  buffer_ = Napi::Persistent(buffer);
}

void MappedView::Close() {
  buffer_.Value().Detach();
  buffer_.Reset();
  held_->reset();
}
