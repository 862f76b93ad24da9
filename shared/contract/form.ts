/** The forms of the predecessor's pages; each does what an operation with JSON does. */
import { Type } from 'typebox';
import { operations } from './operation.ts';

const html = 'text/html; charset=utf-8';
const text = Type.Optional(Type.String({ maxLength: 4096 }));

export const formOperations = operations({
  catalogEntry: {
    name: 'form.catalog-entry',
    method: 'POST',
    path: '/ui/catalog/entries',
    access: 'open',
    summary: 'Add an image by its address, from a form.',
    body: { kind: 'form', schema: Type.Object({ image_url: text, sha_url: text }) },
    replies: { 303: { sentence: 'To the images, with `?error=` when it was refused.' } },
  },
  activate: {
    name: 'form.pxe-activate',
    method: 'POST',
    path: '/ui/settings/pxe-activate',
    access: 'open',
    summary: 'Answer PXE on an interface as a proxy beside another DHCP server, from a form.',
    body: { kind: 'form', schema: Type.Object({ interface: text, subnet: text }) },
    replies: {
      200: { sentence: 'What came of it.', type: html },
      303: { sentence: 'To the form to log in.' },
    },
  },
  fetchRelease: {
    name: 'form.fetch-release',
    method: 'POST',
    path: '/ui/boot/fetch-release',
    access: 'open',
    summary: 'Fetch the boot files of a release, from a form.',
    body: { kind: 'form', schema: Type.Object({ tag: text }) },
    replies: {
      200: { sentence: 'What came of it.', type: html },
      303: { sentence: 'To the form to log in.' },
    },
  },
});
