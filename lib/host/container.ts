/** Whether this process runs in a container. */
import { existsSync } from 'node:fs';

/** By the files that Docker, Podman and systemd leave inside theirs. */
export function inContainer(root = ''): boolean {
  return ['/.dockerenv', '/run/.containerenv', '/run/systemd/container'].some((file) => existsSync(root + file));
}
