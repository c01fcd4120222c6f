/*
 * A guest as kvm-unit-tests' are: a multiboot image that prints results, asks fw_cfg, starts other CPUs, takes an interrupt of the
 * IOAPIC, and tells by the exit device what came of it. Asked for it, has Hyper-V's connections send it messages and events.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

asm(".text\n"
    ".align 4\n"
    ".long 0x1badb002, 0, -0x1badb002\n"
    ".globl _start\n"
    "_start:\n"
    "  mov $stack_top, %esp\n"
    "  push %ebx\n"
    "  push %eax\n"
    "  call main\n"
    "1: hlt\n"
    "  jmp 1b\n"
    ".globl on_line\n"
    "on_line:\n"
    "  incl line_count\n"
    "  movl $0, 0xfee000b0\n"
    "  iret\n"
    ".globl on_sint\n"
    "on_sint:\n"
    "  incl sint_count\n"
    "  movl $0, 0xfee000b0\n"
    "  iret\n"
    ".globl ap_code, ap_end\n"
    ".code16\n"
    "ap_code:\n"
    "  lock incl 0x600\n"
    "2: cli; hlt\n"
    "  jmp 2b\n"
    "ap_end:\n"
    ".code32\n"
    ".bss\n"
    ".skip 16384\n"
    "stack_top:\n"
    ".text\n");

extern u8 on_line[], on_sint[], ap_code[], ap_end[];
volatile u32 line_count, sint_count;
static int failures, results;

static void out8(u16 port, u8 value) { asm volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static void out16(u16 port, u16 value) { asm volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
static void out32(u16 port, u32 value) { asm volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }
static u8 in8(u16 port) { u8 value; asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port)); return value; }
static u32 in32(u16 port) { u32 value; asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port)); return value; }

static void put(const char *text) {
  for (; *text; text++) {
    while (!(in8(0x3f8 + 5) & 0x20)) {}
    out8(0x3f8, *text);
  }
}

static void report(int ok, const char *name) {
  put(ok ? "PASS: " : "FAIL: ");
  put(name);
  put("\n");
  results++;
  failures += !ok;
}

static u64 fw_cfg(u16 key, int bytes) {
  u64 value = 0;
  out16(0x510, key);
  for (int at = 0; at < bytes; at++) value |= (u64)in8(0x511) << (8 * at);
  return value;
}

static int contains(const char *text, const char *word) {
  for (; *text; text++) {
    int at = 0;
    while (word[at] && text[at] == word[at]) at++;
    if (!word[at]) return 1;
  }
  return 0;
}

static volatile u32 *apic(u32 offset) { return (volatile u32 *)(0xfee00000 + offset); }
static u32 ioapic_read(u8 index) { *(volatile u32 *)0xfec00000 = index; return *(volatile u32 *)0xfec00010; }
static void ioapic_write(u8 index, u32 value) { *(volatile u32 *)0xfec00000 = index; *(volatile u32 *)0xfec00010 = value; }

static struct { u16 low, selector; u8 zero, type; u16 high; } __attribute__((packed)) idt[256];
static u64 gdt[3] = {0, 0x00cf9b000000ffffull, 0x00cf93000000ffffull};
struct table { u16 limit; u32 base; } __attribute__((packed));

static void take(u8 vector, u8 *handler) {
  idt[vector].low = (u32)handler;
  idt[vector].high = (u32)handler >> 16;
  idt[vector].selector = 8;
  idt[vector].type = 0x8e;
}

static void take_lines(void) {
  struct table g = {sizeof gdt - 1, (u32)gdt}, i = {sizeof idt - 1, (u32)idt};
  take(0x78, on_line);
  take(0x79, on_sint);
  asm volatile("lgdt %0; ljmp $8, $1f; 1: mov %1, %%ss; mov %1, %%ds; mov %1, %%es; lidt %2" : : "m"(g), "r"(16), "m"(i));
}

static void wait_until(volatile u32 *count, u32 wanted) {
  for (u32 turns = 0; *count != wanted && turns < 100000000; turns++) asm volatile("pause");
}

/* Hyper-V: connections to SINT 8 (messages) and 9 (events) of this CPU, VP 0. */
#define PAGE __attribute__((aligned(4096)))
static u8 hypercall_page[4096] PAGE;
static volatile struct message { u32 type; u8 size, flags; u16 reserved; u64 sender; u32 payload[60]; } messages[16] PAGE;
static volatile u32 events[16][64] PAGE;
static struct { u32 connection, reserved, type, size, payload[60]; } posted PAGE;

static void wrmsr(u32 msr, u64 value) { asm volatile("wrmsr" : : "c"(msr), "A"(value)); }

static u32 hypercall(u64 input, u32 param) {
  u64 result = input;
  u32 high = 0;
  asm volatile("call *%[page]" : "+A"(result), "+b"(high), "+c"(param) : [page] "r"(hypercall_page), "D"(0) : "esi", "memory");
  return (u32)result;
}

static u32 post(u32 payload) {
  posted.payload[0] = payload;
  return hypercall(0x5c, (u32)&posted);
}

static u32 signal(u32 connection) { return hypercall(0x1005d, connection); }

/* Sender and size are whole, as is the payload; `pending` is what the slot says of another one that waits. */
static int has(u32 payload, u32 pending) {
  volatile struct message *slot = &messages[8];
  return slot->type == 0x1234 && slot->size == 4 && slot->payload[0] == payload && (slot->flags & 1) == pending;
}

static void take_message(void) {
  messages[8].type = 0;
  asm volatile("" : : : "memory");
  wrmsr(0x40000084, 0);
}

static void hyperv(void) {
  wrmsr(0x40000000, 0x8f00ull << 48);
  wrmsr(0x40000001, (u32)hypercall_page | 1);
  report(signal(0x1234) == 0x12, "no such connection for events");
  report(hypercall(0x5c, (u32)&posted) == 5, "a message without a type");
  wrmsr(0x40000083, (u32)messages | 1);
  wrmsr(0x40000082, (u32)events | 1);
  wrmsr(0x40000080, 1);
  wrmsr(0x40000090 + 8, 0x79);
  wrmsr(0x40000090 + 9, 0x79);
  posted.connection = 0x10;
  posted.type = 0x1234;
  posted.size = 4;
  report(post(0) == 0x12, "no such connection for messages");
  report(hypercall(0x1005c, 0) == 2, "a message is not posted by registers");
  report(hypercall(0x5c, (u32)&posted + 4) == 4, "a message that is not aligned");
  out32(0x3000, 8 | 4 << 16 | 0x10 << 24);
  out32(0x3000, 9 | 6 << 16 | 0x20 << 24);
  posted.size = 241;
  report(post(0) == 3, "a message that is too long");
  posted.size = 4;

  report(post(1) == 0, "a message is posted");
  wait_until(&sint_count, 1);
  report(sint_count == 1 && has(1, 0), "a message comes");
  report(post(2) == 0, "one for a slot that is not free");
  report(sint_count == 1 && has(1, 1), "is told by the one that is there");
  report(post(3) == 0x13, "a third one has no place");
  take_message();
  wait_until(&sint_count, 2);
  report(sint_count == 2 && has(2, 0), "and comes when that is taken");
  take_message();

  report(signal(0x20) == 0, "an event is signalled");
  wait_until(&sint_count, 3);
  report(sint_count == 3 && events[9][1] == 1, "an event comes");
  report(signal(0x20) == 0 && sint_count == 3, "once, until it is taken");
  report(hypercall(0x1005d, 0x1000020) == 3, "reserved bits of an event");

  out32(0x3000, 8 | 5 << 16 | 0x10 << 24);
  out32(0x3000, 9 | 7 << 16 | 0x20 << 24);
  report(post(4) == 0x12 && signal(0x20) == 0x12, "connections that are gone");

  out32(0x3000, 9 | 1 << 16);
  out32(0x3000, 9 | 3 << 16);
  wait_until(&sint_count, 4);
  out32(0x3000, 9 | 2 << 16);
  out32(0x3000, 9 | 3 << 16);
  report(sint_count == 4, "a SINT is signalled while it has a route");
}

/* Its stack and its IDT are taken away before an interrupt that needs both. */
static void flush(void) {
  u32 before = sint_count;
  out32(0xe4, (u32)idt & ~0xfff);
  out32(0xe4, (u32)&before & ~0xfff);
  asm volatile("int $0x79");
  report(sint_count == before + 1, "an interrupt whose stack is mapped afresh");
}

void main(u32 magic, u32 *info) {
  u32 cpus = fw_cfg(0x05, 2);
  volatile u32 *up = (volatile u32 *)0x600;
  struct { u32 size; u64 base, length; u32 type; } __attribute__((packed)) *map = (void *)info[12];
  u64 usable = 0;

  put("enabling apic\n");
  report(magic == 0x2badb002, "loader's magic");
  report(contains((char *)info[4], "first second"), "command line");
  for (u32 at = 0; at < info[11]; at += map->size + 4, map = (void *)((u8 *)map + map->size + 4))
    if (map->type == 1) usable += map->length;
  report(fw_cfg(0x03, 8) == 128ull << 20, "memory by fw_cfg");
  report(usable > 126ull << 20 && usable < 128ull << 20, "memory by its map");
  report(fw_cfg(0x00, 4) == 0x554d4551, "fw_cfg's signature");

  out32(0xe0, 0x12345678);
  report(in32(0xe0) == 0x12345678 && in8(0xe1) == 0x56, "test port");
  *(volatile u32 *)0xff000010 = 0xabcd1234;
  report(*(volatile u16 *)0xff000012 == 0xabcd, "test memory");

  for (u8 *from = ap_code, *to = (u8 *)0x7000; from < ap_end;) *to++ = *from++;
  *up = 0;
  *apic(0xf0) = 0x1ff;
  *apic(0x310) = 0;
  *apic(0x300) = 0xc4500;
  *apic(0x300) = 0xc4607;
  wait_until(up, cpus - 1);
  report(*up == cpus - 1, "other CPUs start");

  take_lines();
  out8(0x21, 0xff);
  out8(0xa1, 0xff);
  ioapic_write(0x10 + 2 * 14 + 1, *apic(0x20));
  ioapic_write(0x10 + 2 * 14, 0x78);
  asm volatile("sti");
  out8(0x2000 + 14, 1);
  wait_until(&line_count, 1);
  out8(0x2000 + 14, 0);
  report(line_count == 1, "IOAPIC: edge of line 14");
  report((ioapic_read(1) & 0xff) >= 0x11, "IOAPIC: version");

  if (contains((char *)info[4], "hyperv")) hyperv();
  while (contains((char *)info[4], "hang")) asm volatile("pause");
  if (contains((char *)info[4], "fault")) asm volatile("lidt %0; ud2" : : "m"(*(struct table *)gdt));
  if (contains((char *)info[4], "flush")) flush();
  if (contains((char *)info[4], "break")) report(0, "asked to # break");
  put("SKIP: not # here\n");
  put("SUMMARY\n");
  out32(0xf4, failures ? 1 : contains((char *)info[4], "skip") ? 77 >> 1 : 0);
}
