/** Every module of routes. One that is not listed here is not served. */
import type { Routes } from '../server.ts';
import { systemRoutes } from './system.ts';

export const routes: readonly Routes[] = [systemRoutes];
