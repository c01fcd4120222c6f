// Which requests may go to the kernel, and with what.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

// What an ioctl request number says of its argument decides what may be passed with it. Refused whatever the buffer:
// requests that make a file descriptor, carry an address or a file descriptor inside their struct, or run a guest: those
// have methods of their own (request_table.h).
struct Refusal {
  // kArgument: another argument would do.
  enum Kind { kRefused, kArgument } kind;
  std::string why;
};

// ioctl(fd, request, data), if the request takes `size` bytes: exactly the size that its number encodes or, for a struct
// that ends in an array, that size and as many entries as its count field says. `result` is the kernel's, or the errno
// negated.
std::optional<Refusal> IoctlWithBuffer(int fd, uint32_t request, uint8_t* data, size_t size, int& result);

// ioctl(fd, request, the address of a page that nobody may read), for a request that only reads its argument. `result` as
// above.
std::optional<Refusal> IoctlUnreadable(int fd, uint32_t request, int& result);

// Whether the request takes exactly the bytes that its number says, at most `room`, and nothing in them says that there are
// more.
std::optional<Refusal> CheckWhole(uint32_t request, size_t room);

// Whether the request takes an integer or nothing.
std::optional<Refusal> CheckNoBuffer(uint32_t request);
