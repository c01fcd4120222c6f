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

Napi::ArrayBuffer ViewOf(Napi::Env env, const std::shared_ptr<MappedRange>& range) {
  auto* holder = new std::shared_ptr<MappedRange>(range);
  return Napi::ArrayBuffer::New(
      env, range->data(), range->size(),
      [](Napi::Env, void*, std::shared_ptr<MappedRange>* held) { delete held; }, holder);
}

Napi::Function Mapping::Define(Napi::Env env) {
  return DefineClass(env, "Mapping",
                     {InstanceAccessor<&Mapping::Buffer>("buffer"), InstanceMethod<&Mapping::Close>("close")});
}

Mapping::Mapping(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Mapping>(info) {
  range_ = MappedRange::Anonymous(info.Env(), static_cast<size_t>(IntegerArgument(info, 0, "bytes", MAX_SAFE_INTEGER)));
  Napi::ArrayBuffer buffer = ViewOf(info.Env(), range_);
  buffer_ = Napi::Persistent(buffer);
}

const std::shared_ptr<MappedRange>& Mapping::range(Napi::Env env) const {
  if (!range_) throw ClosedError(env, "guest memory");
  return range_;
}

Napi::Value Mapping::Buffer(const Napi::CallbackInfo& info) {
  range(info.Env());
  return buffer_.Value();
}

void Mapping::Close(const Napi::CallbackInfo&) {
  if (!range_) return;
  // A view that outlives its memory would be a dangling pointer: detached, it has length 0.
  buffer_.Value().Detach();
  buffer_.Reset();
  range_.reset();
}
