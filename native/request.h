#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>

// What an ioctl request number says of its argument decides what may be passed with it. Each check throws a TypeError
// with code ERR_ARGUMENT or ERR_IOCTL_REFUSED. Refused whatever the buffer: requests that make a file descriptor, carry an
// address or a file descriptor inside their struct, or run a guest: those have methods of their own.

// The request takes `size` bytes at `data`: exactly the size that its number encodes or, for a struct that ends in an
// array, that size and as many entries as its count field says.
//
// Returns 0 if the kernel may be given `data` itself; otherwise how many bytes the caller has to give it instead, with
// the same content: the kernel trusts a count that lies in the buffer, or goes past the size in the number.
size_t CheckBuffer(Napi::Env env, uint32_t request, const uint8_t* data, size_t size);

// The request takes an integer or nothing.
void CheckNoBuffer(Napi::Env env, uint32_t request);
