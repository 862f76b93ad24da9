import { useTranslation } from 'react-i18next';
import type { Machine } from '../../../shared/contract/machine.ts';
import { Button } from '../parts/Button.tsx';
import { Note } from '../parts/Note.tsx';
import './styles/task.css';
import { attempt, putAnswer, useAnswer } from './answer.ts';
import { ask } from './api.ts';
import { Card } from './parts/Page.tsx';
import { Pick } from './parts/Pick.tsx';
import { useLab } from './store.ts';
import { TaskRun } from './TaskRun.tsx';

/** What runs on the machine after a flash, and what became of it. */
export function TaskCard({ machine }: { readonly machine: Machine }) {
  const { t } = useTranslation();
  const { mac, cijoe_task_ref, provisioning_mode } = machine;
  const name = `task runs ${mac}`;
  const { value } = useAnswer(name, () => ask('GET /tasks/runs', { query: { mac, limit: 1 } }), ['machine']);
  const { value: files } = useAnswer('task files', () => ask('GET /tasks/library'), ['event']);
  const { value: key } = useAnswer('task key', () => ask('GET /tasks/key'), ['event']);
  const operates = useLab(({ scope }) => scope !== 'read');
  const run = value?.runs[0];
  const chosen = provisioning_mode === 'cijoe-task' ? (cijoe_task_ref ?? '') : '';
  const names = new Set([
    ...(files?.tasks.map((file) => file.name) ?? []),
    ...(chosen === '' ? [] : [chosen]),
  ]);
  const choose = (ref: string) =>
    attempt(async () => {
      const body =
        ref === ''
          ? ({ provisioning_mode: 'none', cijoe_task_ref: null } as const)
          : ({ provisioning_mode: 'cijoe-task', cijoe_task_ref: ref } as const);
      putAnswer(`machine ${mac}`, await ask('PATCH /machines/{mac}', { params: { mac }, body }));
      useLab.getState().say('good', 'lab.common.saved');
    });
  const start = () =>
    attempt(async () => {
      const started = await ask('POST /machines/{mac}/task', { params: { mac }, body: {} });
      putAnswer(name, { runs: [started] });
    });
  const busy = run !== undefined && run.stage !== 'ended';
  return (
    <Card title={t('lab.task.title')} className="task-card">
      {key === null ? <Note kind="info">{t('lab.task.keyOff')}</Note> : null}
      {operates ? (
        <div className="form-row">
          <Pick
            label={t('lab.task.choose')}
            value={chosen}
            options={[
              { key: '', text: t('lab.task.nothing') },
              ...[...names].map((each) => ({ key: each, text: each })),
            ]}
            onChange={(ref) => void choose(ref)}
          />
          {chosen === '' ? null : (
            <Button isDisabled={busy || key === null} onPress={() => void start()}>
              {t('lab.task.runNow')}
            </Button>
          )}
        </div>
      ) : (
        <p>{chosen === '' ? t('lab.task.none') : chosen}</p>
      )}
      {run === undefined ? null : <TaskRun key={run.id} run={run} />}
    </Card>
  );
}
