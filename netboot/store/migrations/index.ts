/** The schema's steps in their order. Append; never insert, reorder or change. */
import type { Migration } from '../migration.ts';
import { core } from './001-core.ts';
import { images } from './002-images.ts';
import { story } from './003-story.ts';
import { head } from './004-head.ts';
import { tasks } from './005-tasks.ts';
import { settings } from './006-settings.ts';

export const migrations: readonly Migration[] = [core, images, story, head, tasks, settings];
