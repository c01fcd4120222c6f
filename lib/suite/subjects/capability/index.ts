/** What a program can find out before it runs a guest, and whether that agrees with what guests then do. */
import { subject } from '../../check.ts';
import { documentedChecks } from './documented.ts';
import { extensionChecks } from './extensions.ts';
import { kernelChecks, vcpuChecks } from './forwarding.ts';
import { ioctlChecks } from './ioctls.ts';
import { optInChecks } from './opt-in.ts';
import { probeChecks } from './probe.ts';
import { versionChecks } from './version.ts';

export const capability = subject('capability', 'what the kernel says of itself agrees with what it does', [
  ...versionChecks,
  ...probeChecks,
  ...kernelChecks,
  ...ioctlChecks,
  ...extensionChecks,
  ...vcpuChecks,
  ...documentedChecks,
  ...optInChecks,
]);
