// The checks of an ioctl that JavaScript names by its number.
#include "request.h"

#include <linux/ioctl.h>
#include <linux/kvm.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <vector>

#include "request_table.h"
#include "undisturbed.h"

namespace {

// No CPU's XSAVE area is near this size.
constexpr size_t kXsaveRoom = 64 << 10;

template <typename T, size_t N>
bool Has(const T (&list)[N], uint32_t number) {
  return std::find(std::begin(list), std::end(list), number) != std::end(list);
}

const ArrayRequest* ArrayOf(uint32_t request) {
  for (const ArrayRequest& known : kArrayRequests)
    if (known.nr == _IOC_NR(request)) return &known;
  return nullptr;
}

Refusal Refused(uint32_t request, const char* why) {
  char number[16];
  snprintf(number, sizeof number, "0x%08x", request);
  return {Refusal::kRefused, std::string("ioctl ") + number + " is refused: " + why};
}

Refusal WrongSize(size_t size, const std::string& needs) {
  return {Refusal::kArgument, "the buffer has " + std::to_string(size) + " bytes, " + needs};
}

std::optional<Refusal> CheckNumber(uint32_t request) {
  if (_IOC_TYPE(request) != KVMIO) return Refused(request, "it is not a KVM request");
  if (Has(kMethodRequests, _IOC_NR(request)))
    return Refused(request, "it carries an address or a file descriptor, or has a method of its own");
  return std::nullopt;
}

// `room` is 0 if the kernel may be given `data` itself; otherwise how many bytes it has to be given instead, with the same
// content: the kernel trusts a count that lies in the buffer, or goes past the size in the number.
std::optional<Refusal> CheckBuffer(uint32_t request, const uint8_t* data, size_t size, size_t& room) {
  if (auto refusal = CheckNumber(request)) return refusal;
  const size_t head = _IOC_SIZE(request);
  if (head == 0) return Refused(request, "its number says that it takes no buffer");
  if (Has(kXsaveRequests, request)) {
    if (size < head || size > kXsaveRoom)
      return WrongSize(size, "an XSAVE area has " + std::to_string(head) + " to " + std::to_string(kXsaveRoom));
    room = kXsaveRoom;
    return std::nullopt;
  }
  uint64_t need = head;
  const ArrayRequest* array = ArrayOf(request);
  if (array && size >= head && size >= array->count_offset + array->count_size) {
    uint64_t count = 0;
    memcpy(&count, data + array->count_offset, array->count_size);
    // A count past 32 bits would wrap the product.
    need = count > UINT32_MAX ? UINT64_MAX : head + count * array->entry_size;
  }
  if (array ? size < need : size != need) return WrongSize(size, "the request needs " + std::to_string(need));
  if (request == KVM_ENABLE_CAP) {
    uint32_t cap;
    memcpy(&cap, data, sizeof cap);
    if (Has(kRefusedCapabilities, cap))
      return Refused(request, "the capability's arguments are an address or a file descriptor");
  }
  room = array || request == KVM_ENABLE_CAP ? size : 0;
  return std::nullopt;
}

}  // namespace

std::optional<Refusal> IoctlWithBuffer(int fd, uint32_t request, uint8_t* data, size_t size, int& result) {
  size_t room;
  if (auto refusal = CheckBuffer(request, data, size, room)) return refusal;
  if (room == 0) {
    result = UndisturbedIoctl(fd, request, data);
    if (result == -1) result = -errno;
    return std::nullopt;
  }
  std::vector<uint8_t> copy(room);
  memcpy(copy.data(), data, size);
  // What was checked may have changed since, where the bytes are memory that a guest shares.
  if (auto refusal = CheckBuffer(request, copy.data(), size, room)) return refusal;
  result = UndisturbedIoctl(fd, request, copy.data());
  if (result == -1) result = -errno;
  memcpy(data, copy.data(), size);
  return std::nullopt;
}

std::optional<Refusal> IoctlUnreadable(int fd, uint32_t request, int& result) {
  if (auto refusal = CheckNumber(request)) return refusal;
  if (_IOC_DIR(request) != _IOC_WRITE || _IOC_SIZE(request) == 0)
    return Refused(request, "its number does not say that it reads a buffer, and nothing else");
  // Never unmapped: nothing else can come to lie there.
  static void* const page = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) {
    result = -ENOMEM;
    return std::nullopt;
  }
  result = UndisturbedIoctl(fd, request, page);
  if (result < 0) result = -errno;
  return std::nullopt;
}

std::optional<Refusal> CheckNoBuffer(uint32_t request) {
  if (auto refusal = CheckNumber(request)) return refusal;
  if (_IOC_SIZE(request) != 0)
    return Refusal{Refusal::kArgument,
                   "the request needs a buffer of " + std::to_string(_IOC_SIZE(request)) + " bytes"};
  return std::nullopt;
}

std::optional<Refusal> CheckWhole(uint32_t request, size_t room) {
  if (auto refusal = CheckNumber(request)) return refusal;
  const size_t size = _IOC_SIZE(request);
  if (size == 0 || size > room || ArrayOf(request) || Has(kXsaveRequests, request) || request == KVM_ENABLE_CAP)
    return Refused(request, "it does not take just the bytes that its number says, or more than there is room for");
  return std::nullopt;
}
