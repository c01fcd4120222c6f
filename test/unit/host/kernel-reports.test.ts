/** What a kernel prints when it is broken, and what it prints when it is not. */
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { KernelLog, KernelReportError } from '../../../lib/host/kernel-log.ts';
import { kernelReportIn, messageOf, reportKinds } from '../../../lib/host/kernel-reports.ts';
import { recordText } from '../../../lib/host/kmsg.ts';

/** First lines by kind, as kernels of different ages print them. */
const lines: Record<string, readonly string[]> = {
  panic: ['Kernel panic - not syncing: Fatal exception in interrupt', 'Kernel panic - not syncing'],
  kasan: [
    'BUG: KASAN: slab-use-after-free in kvm_vcpu_release+0x3c/0x90',
    'KASAN: null-ptr-deref in range [0x0000000000000008-0x000000000000000f]',
  ],
  kfence: ['BUG: KFENCE: out-of-bounds read in apic_update_ppr+0x10/0x40'],
  kcsan: ['BUG: KCSAN: data-race in kvm_apic_send_ipi / kvm_lapic_reg_read'],
  kmsan: ['BUG: KMSAN: uninit-value in kvm_arch_vcpu_ioctl_run+0x12/0x99'],
  ubsan: [
    'UBSAN: shift-out-of-bounds in arch/x86/kvm/lapic.c:812:20',
    'UBSAN: Undefined behaviour in arch/x86/kvm/x86.c:90:3',
  ],
  'page-fault': [
    'BUG: kernel NULL pointer dereference, address: 0000000000000010',
    'BUG: unable to handle page fault for address: ffffc900000ff000',
    'BUG: unable to handle kernel paging request at ffffc900000ff000',
  ],
  execution: [
    'kernel tried to execute NX-protected page - exploit attempt? (uid: 0)',
    'unable to execute userspace code (SMEP?) (uid: 1000)',
  ],
  oops: ['Oops: Oops: 0002 [#1] SMP NOPTI', 'Oops: divide error: 0000 [#2] PREEMPT SMP', 'Oops: 0000 [#1] SMP'],
  'bug-at': ['kernel BUG at arch/x86/kvm/mmu/mmu.c:1731!', 'Kernel BUG at kvm_spurious_fault+0xa/0xf'],
  'double-fault': ['traps: PANIC: double fault, error_code: 0x0', 'PANIC: early exception 0x0e IP 10:ffffffff81000000'],
  'general-protection': [
    'general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#1] SMP',
    'general protection fault: 0000 [#1] SMP PTI',
  ],
  trap: [
    'divide error: 0000 [#1] PREEMPT SMP',
    'invalid opcode: 0000 [#3] SMP NOPTI',
    'stack segment: 0000 [#1] SMP',
    'int3: 0000 [#1] SMP',
    'control protection fault: 0003 [#1] SMP',
  ],
  'soft-lockup': [
    'watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [node:77]',
    'NMI watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [kvm:1]',
  ],
  'hard-lockup': [
    'watchdog: Watchdog detected hard LOCKUP on cpu 2',
    'NMI watchdog: Watchdog detected hard LOCKUP on cpu 0',
  ],
  'rcu-stall': [
    'rcu: INFO: rcu_sched self-detected stall on CPU',
    'rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:',
    'INFO: rcu_tasks detected stalls on tasks:',
    'rcu: INFO: rcu_sched detected expedited stalls on CPUs/tasks: { 1-... }',
  ],
  'hung-task': [
    'INFO: task kvm-nx-lpage-re:412 blocked for more than 120 seconds.',
    'INFO: task a name:9 blocked for more than 143 seconds.',
  ],
  'rcu-usage': ['WARNING: suspicious RCU usage', '[ INFO: suspicious RCU usage. ]'],
  lockdep: [
    'WARNING: possible circular locking dependency detected',
    'WARNING: possible recursive locking detected',
    'WARNING: possible irq lock inversion dependency detected',
    'WARNING: inconsistent lock state',
    'WARNING: bad unlock balance detected!',
    'WARNING: held lock freed!',
    'WARNING: lock held when returning to user space!',
    'WARNING: node/70 still has locks held!',
    'WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected',
    'WARNING: Nested lock was not taken',
    '[ BUG: Invalid wait context ]',
    '[ INFO: possible circular locking dependency detected ]',
  ],
  'lock-key': ['INFO: trying to register non-static key.'],
  'debug-locks': ['DEBUG_LOCKS_WARN_ON(lock->magic != lock)'],
  'atomic-sleep': [
    'BUG: sleeping function called from invalid context at kernel/locking/mutex.c:283',
    'BUG: scheduling while atomic: node/71/0x00000002',
  ],
  refcount: ['refcount_t: underflow; use-after-free.', 'refcount_t: addition on 0; use-after-free.'],
  list: [
    'list_add corruption. prev->next should be next (ffff888003a0), but was 0000000000000000. (prev=ffff8880).',
    'list_del corruption, ffff88800123->next is LIST_POISON1 (dead000000000100)',
  ],
  'bad-page': [
    'BUG: Bad page state in process node  pfn:02a01',
    'BUG: Bad rss-counter state mm:00000000ab type:MM_ANONPAGES val:3',
    'mm/pgtable-generic.c:33: bad pmd 00000000a1(8000000002200067)',
  ],
  slab: [
    'BUG kmalloc-64 (Tainted: G        W         ): Object already free',
    'BUG kvm_vcpu (Not tainted): Poison overwritten',
  ],
  msr: [
    'unchecked MSR access error: WRMSR to 0xc0000103 (tried to write 0x0000000000000001) at rIP: 0xffffffff81 (f+0x1/0x2)',
    'unchecked MSR access error: RDMSR from 0x1b at rIP: 0xffffffff810 (native_read_msr+0x4/0x10)',
  ],
  objects: ['ODEBUG: free active (active state 0) object: 00000000c1 object type: timer_list hint: f+0x0/0x1'],
  leak: ['kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)'],
  irq: ['irq 16: nobody cared (try booting with the "irqpoll" option)'],
  softirq: ['huh, entered softirq 1 TIMER 00000000ab with preempt_count 00000101, exited with 00000102?'],
  netdev: ['unregister_netdevice: waiting for lo to become free. Usage count = 2'],
  inodes: ['VFS: Busy inodes after unmount of tmpfs (tmpfs)'],
  bug: [
    'BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 31s!',
    'BUG: spinlock bad magic on CPU#0, node/70',
    'BUG: using smp_processor_id() in preemptible [00000000] code: node/70',
  ],
  warning: [
    'WARNING: CPU: 1 PID: 70 at arch/x86/kvm/lapic.c:2550 kvm_apic_send_ipi+0x1/0x2',
    'WARNING: CPU: 0 PID: 1 at fs/ext4/inode.c:1 ext4_f+0x0/0x10',
    'WARNING: kernel/fork.c:7 at copy_process+0x1/0x2, CPU#0: node/70',
  ],
};

const sound = [
  'kvm: vcpu0 ignored rdmsr: 0x10 data 0x0',
  'kvm_amd: Nested Paging enabled',
  'DEBUG: fine',
  'node[70]: segfault at 10 ip 00007f00 sp 00007ffc error 4 in libc.so.6[7f00+100]',
  'traps: node[70] trap invalid opcode ip:401000 sp:7ffd error:0 in a[401000+1000]',
  'traps: node[70] general protection fault ip:401000 sp:7ffd error:0 in a[401000+1000]',
  'traps: node[70] trap divide error ip:401000 sp:7ffd error:0',
  'Out of memory: Killed process 70 (node) total-vm:1000kB, anon-rss:10kB, file-rss:0kB',
  'node: page allocation failure: order:4, mode:0xcc0(GFP_KERNEL), nodemask=(null)',
  '[Firmware Bug]: TSC_DEADLINE disabled due to Errata; please update microcode',
  'ACPI BIOS Error (bug): Could not resolve symbol [\\_SB.PCI0], AE_NOT_FOUND (20240322/psargs-330)',
  'mce: [Hardware Error]: Machine check events logged',
  'Speculative Return Stack Overflow: WARNING: See https://kernel.org/ for mitigation options.',
  'WARNING: the mand mount option has been deprecated and',
  'clocksource: timekeeping watchdog on CPU0: Marking clocksource tsc as unstable',
  'workqueue: drain_vmap_area_work hogged CPU for >10000us 4 times, consider switching to WQ_UNBOUND',
  'hrtimer: interrupt took 31415 ns',
  'rcu: Hierarchical RCU implementation.',
  'rcu: \tRCU CPU stall warnings timeout set to 60 (rcu_cpu_stall_timeout).',
  'a program says: BUG: not the kernel',
];

describe('the kinds of report', () => {
  for (const { id, source } of reportKinds)
    test(`${id}, of ${source}`, () => {
      assert.ok(lines[id], 'it has lines here');
      for (const line of lines[id]) assert.equal(kernelReportIn(line)?.kind.id, id, line);
    });

  test('no line here is of a kind that is not in the table', () => {
    assert.deepEqual(
      Object.keys(lines),
      reportKinds.map(({ id }) => id),
    );
  });

  for (const line of sound) test(`none: ${line}`, () => assert.equal(kernelReportIn(line), null));

  test("a console's line: its message is behind the time, and what some kernels add", () => {
    for (const prefix of [
      '',
      '[    2.000001] ',
      '[  112.345678][    T1] ',
      '[12345.678901][   C0] ',
      'login: [    1.000000] ',
    ])
      assert.equal(
        kernelReportIn(messageOf(`${prefix}UBSAN: shift-out-of-bounds in a.c:1:2`))?.kind.id,
        'ubsan',
        prefix,
      );
  });
});

describe("the kernel's log from one point on", () => {
  /** A log of that many lines, and what says one more. The priority is that of the kernel's warnings. */
  function withLog(use: (path: string, say: (text: string, priority?: number) => void) => void): void {
    const directory = mkdtempSync(join(tmpdir(), 'kvm-dsm-log-'));
    const path = join(directory, 'kmsg');
    let sequence = 0;
    const say = (text: string, priority = 4) => appendFileSync(path, `${priority},${sequence++},1,-;${text}\n`);
    writeFileSync(path, '');
    try {
      use(path, say);
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  test('each report once, and none of what was there before', () =>
    withLog((path, say) => {
      say('BUG: an old one');
      const log = KernelLog.open(path);
      assert.ok(log instanceof KernelLog);
      assert.equal(log.report(), null, 'what was there before');
      for (const line of Object.values(lines).flat()) {
        say(line);
        assert.deepEqual(log.report()?.lines, [line]);
        assert.equal(log.report(), null, 'once');
      }
      log.close();
    }));

  test('what user space writes there is none, whatever it says', () =>
    withLog((path, say) => {
      const log = KernelLog.open(path);
      assert.ok(log instanceof KernelLog);
      // LOG_USER is facility 1; systemd's LOG_DAEMON is 3.
      for (const facility of [1, 3]) {
        say('BUG: kernel NULL pointer dereference, address: 0', facility * 8);
        assert.equal(log.report(), null);
      }
      log.close();
    }));

  test('a message of several lines holds a report in any of them; what is no text is shown as such', () => {
    withLog((path, say) => {
      const log = KernelLog.open(path);
      assert.ok(log instanceof KernelLog);
      say('\\x0a=====\\x0aWARNING: suspicious RCU usage\\x0aa \\x1b[31mred\\x9b');
      assert.deepEqual(log.report()?.lines, ['WARNING: suspicious RCU usage', 'a red\ufffd']);
      log.close();
    });
    assert.equal(recordText('6,1,2,-;f\\xc3\\xbcr C:\\x5cx\n A=b\n'), 'für C:\\x');
  });

  test('records that were overwritten before they were read are counted', () =>
    withLog((path, say) => {
      say('first');
      const log = KernelLog.open(path);
      assert.ok(log instanceof KernelLog);
      appendFileSync(path, '6,5,1,-;the next that is left\n');
      assert.equal(log.report(), null);
      assert.equal(log.takeLost(), 4);
      assert.equal(log.takeLost(), 0, 'once');
      log.close();
    }));

  test('a log that is not there is told by a sentence', () => {
    assert.match(String(KernelLog.open('/nowhere/kmsg')), /^the kernel's log is not watched: ENOENT/);
    // A folder opens, and cannot be read.
    assert.match(String(KernelLog.open('/')), /^the kernel's log is not watched: EISDIR/);
  });

  test('the error has the kind, when it was, and the lines', () => {
    const kind = reportKinds.find(({ id }) => id === 'warning')!;
    const error = new KernelReportError({ kind, line: 'WARNING: a', lines: ['WARNING: a', 'RIP: b'] }, 'while it ran');
    assert.equal(error.code, 'ERR_KERNEL_REPORT');
    assert.equal(error.exitCode, 1);
    assert.equal(error.kind, 'warning');
    assert.equal(error.message, 'the kernel reported a WARN() while it ran: WARNING: a\n  | RIP: b');
  });
});
