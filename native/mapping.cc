#include "mapping.h"

#include <sys/mman.h>

#include <cerrno>

#include "handle.h"

std::shared_ptr<MappedRange> MappedRange::Map(Napi::Env env, int fd, int flags, size_t size) {
  void* data = mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (data == MAP_FAILED) throw ErrnoError(env, "mmap", errno);
  return std::shared_ptr<MappedRange>(new MappedRange(data, size));
}

std::shared_ptr<MappedRange> MappedRange::Anonymous(Napi::Env env, size_t size) {
  // Guest memory is reserved, not committed: a 4 GiB machine costs what its guest touches.
  return Map(env, -1, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, size);
}

std::shared_ptr<MappedRange> MappedRange::OfFile(Napi::Env env, int fd, size_t size) {
  return Map(env, fd, MAP_SHARED, size);
}

MappedRange::~MappedRange() { munmap(data_, size_); }

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

Napi::Function Mapping::Define(Napi::Env env) {
  return DefineClass(env, "Mapping",
                     {InstanceAccessor<&Mapping::Buffer>("buffer"), InstanceMethod<&Mapping::Close>("close")});
}

Mapping::Mapping(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Mapping>(info) {
  range_ = MappedRange::Anonymous(info.Env(), static_cast<size_t>(IntegerArgument(info, 0, "bytes", MAX_SAFE_INTEGER)));
  view_.Open(info.Env(), range_);
}

const std::shared_ptr<MappedRange>& Mapping::range(Napi::Env env) const {
  if (!range_) throw ClosedError(env, "guest memory");
  return range_;
}

Napi::Value Mapping::Buffer(const Napi::CallbackInfo& info) {
  range(info.Env());
  return view_.buffer();
}

void Mapping::Close(const Napi::CallbackInfo&) {
  if (!range_) return;
  view_.Close();
  range_.reset();
}
