// Guest memory as an object that can be closed.
#include "mapping.h"

#include <cstring>

#include "arguments.h"
#include "errors.h"

Napi::Function Mapping::Define(Napi::Env env) {
  return DefineClass(env, "Mapping",
                     {InstanceMethod<&Mapping::Read>("read"), InstanceMethod<&Mapping::Write>("write"),
                      InstanceAccessor<&Mapping::Buffer>("buffer"), InstanceMethod<&Mapping::Close>("close")});
}

Mapping::Mapping(const Napi::CallbackInfo& info) : Tagged<Mapping>(info) {
  auto bytes = static_cast<size_t>(IntegerArgument(info, 0, "bytes", MAX_SAFE_INTEGER));
  range_ = Mapped(info.Env(), MappedRange::Anonymous(bytes));
}

const std::shared_ptr<MappedRange>& Mapping::range(Napi::Env env) const {
  if (!range_) throw ClosedError(env, "guest memory");
  return range_;
}

namespace {

// Where `size` bytes at `offset` lie. Throws if they do not lie within the range.
uint8_t* Within(Napi::Env env, const MappedRange& range, uint64_t offset, size_t size) {
  if (offset > range.size() || size > range.size() - offset)
    throw ArgumentError(env, "the bytes do not lie within the guest memory");
  return static_cast<uint8_t*>(range.data()) + offset;
}

}  // namespace

void Mapping::Read(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  uint64_t offset = IntegerArgument(info, 0, "offset", MAX_SAFE_INTEGER);
  Bytes into = BytesArgument(info, 1, "into");
  const uint8_t* from = Within(env, *range(env), offset, into.size);
  // The buffer may be one of this very memory.
  if (into.size != 0) memmove(into.data, from, into.size);
}

void Mapping::Write(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  uint64_t offset = IntegerArgument(info, 0, "offset", MAX_SAFE_INTEGER);
  Bytes bytes = BytesArgument(info, 1, "bytes");
  uint8_t* into = Within(env, *range(env), offset, bytes.size);
  if (bytes.size != 0) memmove(into, bytes.data, bytes.size);
}

Napi::Value Mapping::Buffer(const Napi::CallbackInfo& info) { return view_.Buffer(info.Env(), range(info.Env())); }

void Mapping::Close(const Napi::CallbackInfo&) {
  if (!range_) return;
  view_.Close();
  range_.reset();
}
