/** What is asked before any check: one that cannot be answered costs its own check, and those that need it are skipped. */
import { type Check, table } from '../../check.ts';
import { type ProbeName, probes } from '../../run/probes.ts';

export const probeChecks: Check[] = table(Object.entries(probes) as [ProbeName, string][], ([name, what]) => ({
  id: `capability.probe.${name}`,
  claim: `It can be found out ${what}: nobody crashes, hangs or is refused who asks for it`,
  source: 'Documentation/virt/kvm/api.rst 4; Documentation/driver-api/ioctl.rst, return code',
  run(ctx) {
    const failed = ctx.facts.failedProbes[name];
    if (failed !== undefined) ctx.fail(`it was not found out ${what}: ${failed}`);
    ctx.effect('answers', 1);
  },
}));
