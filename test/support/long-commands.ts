/** Commands of the documents that take longer than `npm test` may: `npm run full` runs them, each with the exit codes that it may have. */
export const longCommands: ReadonlyMap<string, readonly number[]> = new Map([
  ['npx kvm-dsm review kernel/mails/rfc-v2.mbox', [1]],
  ['npx kvm-dsm review kernel/fixed --out /tmp/review', [0]],
  ['npx kvm-dsm review kernel/fixed --checklist', [0]],
  ['npx kvm-dsm test injection.crash --on svm --destructive', [0]],
  ['npx kvm-dsm doctor --on vmx', [0]],
  ['npx kvm-dsm run examples/replay-x2apic.ts --on vmx', [0]],
]);
