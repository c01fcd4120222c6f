/** What a Linux kernel prints when it is broken: one table of report kinds, used wherever its log is read. */

/** A kind of report. */
export interface ReportKind {
  /** Stable name. */
  readonly id: string;
  /** In words, behind an article. */
  readonly what: string;
  /** Matches the first line of such a report, from its start, without priority and time. */
  readonly pattern: RegExp;
  /** The kernel's file and function that print it, in Linux 6.12 (older words are matched as well). */
  readonly source: string;
  /** The kernel cannot go on as it was: what ran when it came may never end. */
  readonly crash?: true;
}

/** In the order in which they are looked for: the general ones are behind those that they would hide. */
export const reportKinds: readonly ReportKind[] = [
  kind('panic', 'a panic', /^Kernel panic - not syncing/, 'kernel/panic.c: panic', true),
  kind('kasan', 'a wrong use of memory (KASAN)', /^(?:BUG: )?KASAN: /, 'mm/kasan/report.c: print_error_description'),
  kind('kfence', 'a wrong use of memory (KFENCE)', /^BUG: KFENCE: /, 'mm/kfence/report.c: kfence_report_error'),
  kind('kcsan', 'a data race (KCSAN)', /^BUG: KCSAN: /, 'kernel/kcsan/report.c: print_report'),
  kind('kmsan', 'a use of memory that was never set (KMSAN)', /^BUG: KMSAN: /, 'mm/kmsan/report.c: kmsan_report'),
  kind('ubsan', 'undefined behaviour (UBSAN)', /^UBSAN: /, 'lib/ubsan.c: ubsan_prologue'),
  kind(
    'page-fault',
    'a page fault of the kernel',
    /^BUG: (?:kernel NULL pointer dereference|unable to handle )/,
    'arch/x86/mm/fault.c: show_fault_oops',
    true,
  ),
  kind(
    'execution',
    'an attempt to run what is no code',
    /^(?:kernel tried to execute NX-protected page|unable to execute userspace code)/,
    'arch/x86/mm/fault.c: show_fault_oops',
    true,
  ),
  kind('oops', 'an oops', /^Oops: /, 'arch/x86/kernel/dumpstack.c: __die_header', true),
  kind('bug-at', 'a BUG()', /^[kK]ernel BUG (?:at |\[)/, 'lib/bug.c: report_bug', true),
  kind(
    'double-fault',
    'a fault in a fault',
    /^(?:traps: )?PANIC: /,
    'arch/x86/kernel/traps.c: handle_stack_overflow',
    true,
  ),
  kind(
    'general-protection',
    'a general protection fault',
    /^general protection fault[,:]/,
    'arch/x86/kernel/traps.c: exc_general_protection',
    true,
  ),
  // `divide error: 0000 [#1]`, `invalid opcode: 0000 [#1]`, `stack segment: ...`: without `Oops: ` before Linux 6.11.
  kind(
    'trap',
    'an exception',
    /^[a-z][\w ,()?-]*: [0-9a-f]{4} \[#\d+\]/,
    'arch/x86/kernel/dumpstack.c: __die_header',
    true,
  ),
  kind(
    'soft-lockup',
    'a CPU that does not schedule',
    /^(?:NMI )?(?:watchdog: )?BUG: soft lockup - /,
    'kernel/watchdog.c: watchdog_timer_fn',
    true,
  ),
  kind(
    'hard-lockup',
    'a CPU that takes no interrupts',
    /^(?:NMI )?(?:watchdog: )?(?:Watchdog detected )?hard LOCKUP/,
    'kernel/watchdog.c: watchdog_hardlockup_check',
    true,
  ),
  kind(
    'rcu-stall',
    'a stall of RCU',
    /^(?:rcu: )?INFO: rcu_\w+ (?:self-)?detected (?:expedited )?stalls?\b/,
    'kernel/rcu/tree_stall.h: print_cpu_stall, print_other_cpu_stall',
  ),
  kind(
    'hung-task',
    'a task that hangs',
    /^INFO: task .+ blocked (?:for more than|in )/,
    'kernel/hung_task.c: check_hung_task',
  ),
  kind(
    'rcu-usage',
    'a wrong use of RCU',
    /^(?:WARNING|\[ INFO): suspicious RCU usage/,
    'kernel/locking/lockdep.c: lockdep_rcu_suspicious',
  ),
  kind(
    'lockdep',
    'a fault of locking',
    /^(?:WARNING|\[ (?:INFO|BUG)): (?:possible (?:circular locking|recursive locking|irq lock inversion)|inconsistent lock state|bad unlock balance|bad contention|held lock freed|lock held |.* still has locks held|Nested lock |Invalid wait context|(?:HARD|SOFT|RECLAIM)\w*-safe -> )/,
    'kernel/locking/lockdep.c: print_circular_bug_header, print_deadlock_bug, print_usage_bug, print_unlock_imbalance_bug',
  ),
  kind(
    'lock-key',
    'a lock without a key',
    /^INFO: trying to register non-static key/,
    'kernel/locking/lockdep.c: assign_lock_key',
  ),
  kind(
    'debug-locks',
    'a fault of locking',
    /^DEBUG_LOCKS_WARN_ON\(/,
    'include/linux/debug_locks.h: DEBUG_LOCKS_WARN_ON',
  ),
  kind(
    'atomic-sleep',
    'a sleep where none may be',
    /^BUG: (?:sleeping function called from invalid context|scheduling while atomic)/,
    'kernel/sched/core.c: __might_resched, __schedule_bug',
  ),
  kind('refcount', 'a wrong count of references', /^refcount_t: /, 'lib/refcount.c: refcount_warn_saturate'),
  kind('list', 'a corrupt list', /^list_(?:add|del) corruption/, 'lib/list_debug.c: __list_add_valid_or_report'),
  kind(
    'bad-page',
    'a corrupt page',
    /^(?:BUG: )?Bad (?:page (?:state|map|cache)|rss-counter)|^\S+:\d+: bad p(?:te|md|ud|4d|gd) /,
    'mm/page_alloc.c: bad_page; mm/memory.c: print_bad_pte',
  ),
  kind('slab', 'a corrupt object', /^BUG \S+ \(/, 'mm/slub.c: slab_bug'),
  kind(
    'msr',
    'an access to an MSR that nobody checked',
    /^unchecked MSR access error: /,
    'arch/x86/mm/extable.c: ex_handler_msr',
  ),
  kind('objects', 'a wrong use of an object', /^ODEBUG: /, 'lib/debugobjects.c: debug_print_object'),
  kind('leak', 'a leak of memory', /^kmemleak: \d+ new suspected memory leaks?/, 'mm/kmemleak.c: kmemleak_scan'),
  kind('irq', 'an interrupt that nobody took', /^irq \d+: nobody cared/, 'kernel/irq/spurious.c: __report_bad_irq'),
  kind(
    'softirq',
    'a softirq that left the counts wrong',
    /^(?:softirq: )?huh, entered softirq /,
    'kernel/softirq.c: handle_softirqs',
  ),
  kind(
    'netdev',
    'a network device that is never released',
    /^unregister_netdevice: waiting for /,
    'net/core/dev.c: netdev_wait_allrefs_any',
  ),
  kind(
    'inodes',
    'inodes that outlived their file system',
    /^VFS: Busy inodes after unmount/,
    'fs/super.c: generic_shutdown_super',
  ),
  kind(
    'bug',
    'a BUG',
    /^(?:[\w-]+: )?(?:\[ )?BUG: /,
    'printed in many places, such as kernel/workqueue.c: wq_watchdog_timer_fn',
  ),
  // The words of mount(2)'s option and of the boot are advice to the administrator.
  kind(
    'warning',
    'a WARN()',
    /^WARNING: (?!the mand mount option|no console|Unprivileged eBPF)/,
    'kernel/panic.c: __warn',
  ),
];

/*
 * No reports: what the kernel says of user space, of the machine below it, or of want, and goes on as it should.
 * `Out of memory: Killed process`, `page allocation failure` (too little memory: the caller is told, and copes);
 * `x[1]: segfault at`, `traps: x[1] trap invalid opcode`, `traps: x[1] general protection fault` (a program's fault);
 * `[Hardware Error]`, `mce: `, `[Firmware Bug]`, `ACPI BIOS Error (bug)` (what the machine is);
 * `clocksource: ... unstable`, `workqueue: ... hogged CPU`, `hrtimer: interrupt took` (slow, as emulated machines are).
 */

/** A report in a kernel's log. */
export interface KernelReport {
  kind: ReportKind;
  /** Its first line. */
  line: string;
}

/** The report that a message of the kernel's begins; `null` if it begins none. @param message without priority and time */
export function kernelReportIn(message: string): KernelReport | null {
  const found = reportKinds.find(({ pattern }) => pattern.test(message));
  return found ? { kind: found, line: message } : null;
}

/** What of a console's line is the kernel's message: behind its time, and the thread or CPU that some kernels add. */
export function messageOf(consoleLine: string): string {
  return consoleLine.replace(/^.*?\[ *\d+\.\d{6}\](?:\[ *[CT]\d+\])? /, '');
}

function kind(id: string, what: string, pattern: RegExp, source: string, crash = false): ReportKind {
  return { id, what, pattern, source, ...(crash ? { crash } : {}) };
}
