// What JavaScript sees of a mapped range.
#pragma once

#include <napi.h>

#include <memory>

#include "../core/mapped_range.h"

// The range that was mapped just now. Throws errno if mmap refused it.
std::shared_ptr<MappedRange> Mapped(Napi::Env env, std::shared_ptr<MappedRange> range);

// An ArrayBuffer over the range. Its addresses stay its own until no buffer reaches them any more: neither this one, nor
// one that it was moved into (ArrayBuffer.prototype.transfer, a byte stream), nor a job of node's (zlib, crypto) that has
// no more than an address. Throws ERR_VIEW_SIZE if it is larger than an ArrayBuffer of this node can be.
Napi::ArrayBuffer ViewOf(Napi::Env env, const std::shared_ptr<MappedRange>& range);

// The buffer over a range that JavaScript gets whenever it asks, and that close() takes away from it.
class MappedView {
 public:
  // A new one if there is none yet, or if JavaScript has moved it away.
  Napi::Value Buffer(Napi::Env env, const std::shared_ptr<MappedRange>& range);
  // A view that outlives its memory would be one of nothing: detached, it has length 0.
  void Close();

 private:
  Napi::Reference<Napi::ArrayBuffer> buffer_;
};

// The same for the library's own use, which hands it to nobody: its addresses go when it is closed. The engine tells that
// a buffer is gone only when the event loop has a turn, and a program that opens and closes VMs without giving it one
// would run out of mappings.
class OwnView {
 public:
  void Open(Napi::Env env, const std::shared_ptr<MappedRange>& range);
  Napi::Value buffer() const { return buffer_.Value(); }
  void Close();

 private:
  std::shared_ptr<std::shared_ptr<AddressRange>> held_;
  Napi::Reference<Napi::ArrayBuffer> buffer_;
};
