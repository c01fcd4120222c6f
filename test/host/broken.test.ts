// Each script of test/broken is wrong in one way: the first lines of what it says name that.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emulatesGuests, type KvmDsmError } from '../../lib/index.ts';
import { kvmAmd } from '../support/guest32.ts';
import { noForwardingKvm, noKvm } from '../support/host.ts';

interface Broken {
  script: () => Promise<unknown>;
  code: string;
  /** The first line. */
  cause: RegExp;
  /** Somewhere below it. */
  also?: RegExp[];
  skip?: string | false;
}

const needsIret = emulatesGuests() && "this host's KVM has no iret and keeps no vector in service";

/** Where ICR writes do not come out, that is why the exits are not there. */
const orNotForwarded = (cause: RegExp): RegExp =>
  noForwardingKvm
    ? /^vCPU 0 wrote its ICR \(vector 0x\w+ to .*\), and no KVM_EXIT_DSM_ exit came: this kernel does not forward/
    : cause;

const scripts: Record<string, Broken> = {
  'wrong vector expected': {
    script: () => import('../broken/wrong-vector.ts'),
    code: 'ERR_EXPECTATION',
    cause: orNotForwarded(/^exit 2 of 2 differs: icr\.vector is 0xf0, expected 0xf1; it is #1$/),
    also: noForwardingKvm ? [] : [/^! KVM_EXIT_DSM_SEND_IRQ.*vector 0xf1.* \| #1 vCPU 0 .*vector 0xf0/m],
  },
  'IDT missing': {
    script: () => import('../broken/idt-missing.ts'),
    code: 'ERR_GUEST_FAILURE',
    cause: kvmAmd
      ? /^vCPU 1: triple fault: an exception or interrupt came, and it was started with an empty IDT \(limit 0\); vCPU 0 had sent it vector 0x41$/
      : /^vCPU 1: triple fault: (vector 0x41 came, and the IDT is empty|an exception or interrupt came, and the IDT is empty \(limit 0\); vCPU 0 had sent it vector 0x41)/,
  },
  'guest spins': {
    script: () => import('../broken/guest-spins.ts'),
    code: 'ERR_DEADLINE',
    cause: /^vCPU 0 spins at 0x1014 \(forever\): jmp 0x1014$/,
    also: [/^The guest did not come to every vCPU done within 2000 ms/m, /^ {2}> 0x1014 .*jmp short 0x1014$/m],
  },
  'handler without EOI': {
    script: () => import('../broken/no-eoi.ts'),
    code: 'ERR_DEADLINE',
    cause: /^vCPU 1: vector 0xf0 is in service and 0xf0 waits in the IRR: its handler has written no EOI$/,
    also: [
      /^also: vCPU 0 is in a loop at 0x\w+, as each of \d+ looks found: pause; cmp dword \[0x2d000\], 2; jne 0x\w+$/m,
    ],
    skip: needsIret,
  },
  'AP never started': {
    script: () => import('../broken/ap-never-started.ts'),
    code: 'ERR_DEADLINE',
    cause:
      /^vCPU 1 never started: it waits for INIT and SIPI \(mp_state UNINITIALIZED\), and no SIPI was sent to APIC id 1; vCPU 0 sent one to APIC id 2$/,
  },
  'LAPIC not enabled': {
    script: () => import('../broken/lapic-not-enabled.ts'),
    code: 'ERR_DEADLINE',
    cause: /^vCPU 1's LAPIC is software-disabled \(SVR bit 8 is 0\): vector 0xf0 that vCPU 0 sent was not accepted$/,
    also: [/^ {2}LAPIC xAPIC id 1, software-disabled: /m],
  },
  'triple fault': {
    script: () => import('../broken/triple-fault.ts'),
    code: 'ERR_GUEST_FAILURE',
    cause: kvmAmd
      ? /^vCPU 0: triple fault: an exception could not be delivered; KVM has reset the registers, so the place is not known$/
      : /^vCPU 0: triple fault: an exception or interrupt came, and the IDT is empty \(limit 0\); at 0x100c \(load\): mov ds, eax$/,
  },
  'assertion in the guest': {
    script: () => import('../broken/guest-assertion.ts'),
    code: 'ERR_GUEST_ASSERTION',
    cause: /^vCPU 0: assertion failed at 0x101[79]: the APIC id is 1, got 0x0$/,
  },
  'wrong order': {
    script: () => import('../broken/wrong-order.ts'),
    code: 'ERR_EXPECTATION',
    cause: orNotForwarded(
      /^wrong order: KVM_EXIT_DSM_SEND_IRQ, register "ICR", .* was expected as number 1 and came later, as #1; in its place came #0 vCPU 0 .* wrote ICR2/,
    ),
  },
  'one exit too many': {
    script: () => import('../broken/one-too-many.ts'),
    code: 'ERR_EXPECTATION',
    cause: orNotForwarded(/^expected 2 exits, got 3: #\d vCPU 0 .*vector 0x60.* is one too many$/),
  },
};

for (const [what, { script, code, cause, also = [], skip = false }] of Object.entries(scripts))
  test(`a broken script, ${what}: the first line names the cause`, { skip: noKvm || skip }, async () => {
    const error = (await script().then(
      () => assert.fail('it ended well'),
      (thrown: unknown) => thrown,
    )) as KvmDsmError;
    assert.equal(error.code, code, String(error.stack));
    const text = `${error.message}\n${error.report}`;
    assert.match(text.split('\n', 1)[0]!, cause, text);
    for (const pattern of also) assert.match(text, pattern);
    // The state of each vCPU that has a program, and the trace, on one screen.
    assert.match(text, /^vCPU 0: mp_state /m);
    assert.match(text, /^trace: /m);
    assert.match(text, /^kernel log/m);
    assert.ok(text.split('\n').length <= 50, `one screen:\n${text}`);
  });
