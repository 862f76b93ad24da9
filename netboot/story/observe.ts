/** What HTTP and the lives of machines tell of a boot, as steps. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Life } from '../../shared/machine/life.ts';
import type { FileRole, StepNews } from './step.ts';

export function roleOf(operation: string, name: string): FileRole {
  if (operation === 'boot.program' || /\.(efi|kpxe|kkpxe|pxe)$/.test(name))
    return name.includes('localboot') ? 'local-boot' : 'binary';
  if (/vmlinuz|kernel/.test(name)) return 'kernel';
  if (/initrd/.test(name)) return 'initrd';
  if (/squashfs/.test(name)) return 'squashfs';
  return operation.startsWith('image') ? 'image' : 'other';
}

function fileStep(operation: string, request: FastifyRequest, reply: FastifyReply): StepNews | null {
  const { name, folder, key } = request.params as Record<string, string | undefined>;
  const file = [folder, name ?? key].filter(Boolean).join('/').slice(0, 200);
  const total = Number(reply.raw.getHeader('content-length') ?? 0);
  const complete = reply.raw.writableFinished;
  const role = roleOf(operation, file);
  // The agent reads images in ranges; their progress is told by the agent.
  if (role === 'image') return null;
  if (role === 'local-boot') return { kind: 'local-boot', how: `the loader ${file}` };
  const milliseconds = Math.round(reply.elapsedTime);
  return { kind: 'file', role, file, bytes: complete ? total : 0, total, complete, milliseconds };
}

/** The step that an answered request makes, or null. */
export function stepOfRequest(
  operation: string,
  request: FastifyRequest,
  reply: FastifyReply,
): StepNews | null {
  if (request.method === 'HEAD' || reply.statusCode >= 400) return null;
  switch (operation) {
    case 'boot.bootstrap':
      return { kind: 'script', script: 'bootstrap', action: 'ask', reason: 'the first script' };
    case 'boot.ticket':
      return { kind: 'token' };
    case 'boot.plan':
      return { kind: 'agent', version: null };
    case 'boot.get':
    case 'boot.program':
      return request.method === 'GET' ? fileStep(operation, request, reply) : null;
    default:
      return null;
  }
}

/** The step that the new state of a machine's life makes, given the one before. */
export function stepOfLife(before: Life | null, life: Life): StepNews | null {
  const bytes = life.bytes ?? 0;
  const moved = before?.phase !== life.phase;
  switch (life.phase) {
    case 'writing':
    case 'verifying': {
      const kind = life.phase === 'writing' ? 'write' : 'verify';
      return moved || before?.bytes !== life.bytes ? { kind, bytes, total: life.total } : null;
    }
    case 'preparing':
      return moved ? { kind: 'plan', action: 'flash' } : null;
    case 'interactive':
      return moved ? { kind: 'plan', action: 'interactive' } : null;
    case 'inspecting':
      return moved ? { kind: 'plan', action: 'inventory' } : null;
    case 'rebooting':
      return moved ? { kind: 'done', authenticated: true } : null;
    case 'deployed': {
      // By kexec, or switched off: nothing is left to wait for, and the flash ended all the same.
      const flashed = moved && life.diskNext && life.plan === null && (before?.plan ?? null) !== null;
      return flashed ? { kind: 'done', authenticated: true } : null;
    }
    case 'failed': {
      const cause = life.failure?.message ?? 'no cause was told';
      return moved ? { kind: 'failed', step: life.step ?? 'start', cause } : null;
    }
    default:
      return null;
  }
}
