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

// Can be let go by whoever holds it, also before the engine says that a buffer is gone.
using Held = std::shared_ptr<std::shared_ptr<AddressRange>>;

// What a buffer's finalizer gets.
struct Hold {
  Held held;
  // Users see the buffer.
  bool shown;
  bool made = false;
  bool finalized = false;
};

// Node ends an environment's holds when the environment ends, and calls into JavaScript are over then.
bool IsEnding(napi_env env) {
  napi_value undefined;
  bool same;
  return napi_get_undefined(env, &undefined) != napi_ok || napi_strict_equals(env, undefined, undefined, &same) != napi_ok;
}

void LetGo(napi_env env, void*, void* hint) {
  auto* hold = static_cast<Hold*>(hint);
  // A buffer that was moved may be in another thread by now, which goes on: its addresses are never given back.
  if (hold->made && hold->shown && *hold->held && IsEnding(env)) new std::shared_ptr<AddressRange>(*hold->held);
  hold->held.reset();
  if (hold->made)
    delete hold;
  else
    hold->finalized = true;
}

Napi::ArrayBuffer External(Napi::Env env, const std::shared_ptr<MappedRange>& range, Hold* hold) {
  napi_value buffer;
  napi_status status = napi_create_external_arraybuffer(env, range->data(), range->size(), LetGo, hold, &buffer);
  if (status == napi_ok) {
    hold->made = true;
    return Napi::ArrayBuffer(env, buffer);
  }
  // Some versions of node call the finalizer of a buffer that they refuse, at once or later, and some do not.
  hold->held.reset();
  if (hold->finalized) delete hold;
  bool thrown = false;
  napi_is_exception_pending(env, &thrown);
  napi_value error;
  if (thrown) napi_get_and_clear_last_exception(env, &error);
  throw CodedError(env, "ERR_VIEW_SIZE", std::to_string(range->size()) + " bytes do not fit into an ArrayBuffer");
}

}  // namespace

Napi::ArrayBuffer ViewOf(Napi::Env env, const std::shared_ptr<MappedRange>& range) {
  auto held = std::make_shared<std::shared_ptr<AddressRange>>(range->addresses());
  Napi::ArrayBuffer buffer = External(env, range, new Hold{held, true});
  // Detaching it ends the engine's own hold. A job of node's that only has an address keeps the object.
  auto* of_object = new Hold{std::move(held), true, true};
  if (napi_add_finalizer(env, buffer, nullptr, LetGo, of_object, nullptr) != napi_ok) {
    delete of_object;
    throw Napi::Error::New(env);
  }
  return buffer;
}

Napi::Value MappedView::Buffer(Napi::Env env, const std::shared_ptr<MappedRange>& range) {
  if (buffer_.IsEmpty() || buffer_.Value().IsDetached()) buffer_ = Napi::Persistent(ViewOf(env, range));
  return buffer_.Value();
}

void MappedView::Close() {
  if (buffer_.IsEmpty()) return;
  Napi::ArrayBuffer buffer = buffer_.Value();
  if (!buffer.IsDetached()) buffer.Detach();
  buffer_.Reset();
}

void OwnView::Open(Napi::Env env, const std::shared_ptr<MappedRange>& range) {
  held_ = std::make_shared<std::shared_ptr<AddressRange>>(range->addresses());
  buffer_ = Napi::Persistent(External(env, range, new Hold{held_, false}));
}

void OwnView::Close() {
  Napi::ArrayBuffer buffer = buffer_.Value();
  // Whoever has moved it got at it by a patched method of the engine: then the moved one lets go.
  if (!buffer.IsDetached()) {
    buffer.Detach();
    held_->reset();
  }
  buffer_.Reset();
}
