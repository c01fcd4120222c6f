// The arguments of a call from JavaScript: each throws a TypeError with the code ERR_ARGUMENT for what it cannot be. None of
// them runs JavaScript; where an element of a list or a property is read, a getter may close what was looked at before.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>

constexpr double MAX_SAFE_INTEGER = 9007199254740991.0;

// Argument `index` as an integer in 0..max.
uint64_t IntegerArgument(const Napi::CallbackInfo& info, size_t index, const char* name, double max);

// Argument `index` as a bigint in 0..2^64-1.
uint64_t BigIntArgument(const Napi::CallbackInfo& info, size_t index, const char* name);

// The bytes of a typed array or a DataView; null if there are none. They are JavaScript's: good until JavaScript runs again.
struct Bytes {
  uint8_t* data;
  size_t size;
};
Bytes BytesOf(const Napi::Value& value, const char* name);

// Argument `index` as bytes.
Bytes BytesArgument(const Napi::CallbackInfo& info, size_t index, const char* name);
