/** Boot files. */
import { imageOperations } from '../../../shared/contract/image.ts';
import { bootPath, openBootFile } from '../../images/bootfiles.ts';
import { plainName } from '../../images/name.ts';
import { receiveFile } from '../../images/receive.ts';
import { typeOf } from '../content.ts';
import { handled, json, serve } from '../route.ts';
import type { Routes } from '../server.ts';
import { eventOf, expectedDigest } from './images.ts';

export const bootRoutes: Routes = (app, services) => {
  const { images, events, config } = services;

  serve(app, services, imageOperations.boot, async ({ params, request, reply }) => {
    const name = params.name ?? '';
    const content = await openBootFile(config.bootDir, name, services.builtinBootFile);
    reply.hijack();
    await images.sender.send(request.raw, reply.raw, content, { name, type: typeOf(name) });
    return handled;
  });

  serve(app, services, imageOperations.putBoot, async (call) => {
    const name = plainName(call.params.name ?? '');
    await bootPath(config.bootDir, name);
    const subject = ['boot', name] as const;
    const request = call.request.raw;
    try {
      const expected = expectedDigest(request.headers);
      const { size, path, sha256 } = await receiveFile(
        request,
        config.bootDir,
        name,
        images.limits('boot'),
        expected,
      );
      const details = { size_bytes: size, sha256 };
      await events.record({
        ...eventOf(call, 'boot.uploaded', name, `${name} was uploaded.`, details),
        subject,
      });
      return json({ name, size_bytes: size, path });
    } catch (error) {
      const details = { error: error instanceof Error ? error.message : String(error) };
      const event = eventOf(call, 'boot.upload_failed', name, `The upload of ${name} failed.`, details);
      await events.record({ ...event, subject });
      throw error;
    }
  });
};
