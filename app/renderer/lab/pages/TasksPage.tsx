import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useSearchParams } from 'wouter';
import type { TaskState, TaskStatus } from '../../../../shared/contract/task.ts';
import { Button } from '../../parts/Button.tsx';
import { Note } from '../../parts/Note.tsx';
import '../styles/task.css';
import { askAgain, attempt, useAnswer } from '../answer.ts';
import { ask } from '../api.ts';
import { PutFiles } from '../PutFiles.tsx';
import { Confirm } from '../parts/Confirm.tsx';
import { Card, Page } from '../parts/Page.tsx';
import { Pick } from '../parts/Pick.tsx';
import { Refused } from '../parts/Refused.tsx';
import { Time } from '../parts/Time.tsx';
import { useLab } from '../store.ts';
import { TaskEditor } from '../TaskEditor.tsx';

/** The key, the task files, and what became of the tasks. */
export function TasksPage() {
  const { t } = useTranslation();
  const [editing, setEditing] = useState<{ readonly name: string | null } | null>(null);
  const operates = useLab(({ scope }) => scope !== 'read');
  return (
    <Page
      title={t('lab.task.page')}
      actions={
        operates ? (
          <Button look="primary" onPress={() => setEditing({ name: null })}>
            {t('lab.task.add')}
          </Button>
        ) : null
      }
    >
      {editing === null ? null : (
        <TaskEditor key={editing.name ?? ''} name={editing.name} onClose={() => setEditing(null)} />
      )}
      <div className="columns">
        <div className="column-main">
          <Runs />
        </div>
        <div className="column-side">
          <Files onEdit={(name) => setEditing({ name })} />
          <PutFiles />
          <KeyCard />
        </div>
      </div>
    </Page>
  );
}

/** Runs of one question. */
const page = 100;

interface Older {
  readonly which: string;
  readonly runs: readonly TaskState[];
  readonly more: boolean;
}
const noOlder: Older = { which: '', runs: [], more: false };

const wanted = ['all', 'failed', 'running'] as const;

function Runs() {
  const { t } = useTranslation();
  const [search, setSearch] = useSearchParams();
  const which = wanted.find((each) => each === search.get('show')) ?? 'all';
  const status: TaskStatus | undefined = which === 'all' ? undefined : which;
  const query = { limit: page, ...(status === undefined ? {} : { status }) };
  const { value, refusal, again } = useAnswer(
    `task runs of ${which}`,
    () => ask('GET /tasks/runs', { query }),
    ['machine'],
  );
  const [older, setOlder] = useState<Older>(noOlder);
  const first = value?.runs ?? [];
  const before = older.which === which ? older : noOlder;
  const known = new Set(first.map(({ id }) => id));
  const runs = [...first, ...before.runs.filter(({ id }) => !known.has(id))];
  const more = before.runs.length === 0 ? first.length === page : before.more;
  const show = () =>
    attempt(async () => {
      const last = runs.at(-1)?.id;
      const found = await ask('GET /tasks/runs', {
        query: { ...query, ...(last === undefined ? {} : { before_id: last }) },
      });
      setOlder({ which, runs: [...before.runs, ...found.runs], more: found.runs.length === page });
    });
  return (
    <Card title={t('lab.task.runs')}>
      <Pick
        label={t('lab.task.which')}
        value={which}
        options={wanted.map((key) => ({ key, text: t(`lab.task.${key}`) }))}
        onChange={(key) => setSearch(key === 'all' ? {} : { show: key }, { replace: true })}
      />
      {refusal === null ? null : <Refused refusal={refusal} again={again} />}
      {value?.runs.length === 0 ? (
        <p className="quiet">{which === 'failed' ? t('lab.task.noFailed') : t('lab.task.noRuns')}</p>
      ) : null}
      <ul className="parts">
        {runs.map((run) => (
          <li key={run.id} className="part">
            <div className="part-words">
              <Link href={`/machines/${run.mac}`} className="link">
                {run.mac}
              </Link>
              <p>
                {run.task_ref}{' '}
                <span className={`task-state task-state-${run.status}`}>
                  {run.stage === 'ended'
                    ? t(`lab.task.states.${run.status}`)
                    : t(`lab.task.stages.${run.stage}`)}
                </span>{' '}
                <Time at={run.started_at === null ? null : run.started_at * 1000} style="short" />
              </p>
              {run.error === null ? null : <p>{run.error}</p>}
              {run.advice === null || run.error === null ? null : <p className="quiet">{run.advice}</p>}
            </div>
          </li>
        ))}
      </ul>
      {more ? <Button onPress={() => void show()}>{t('lab.common.more')}</Button> : null}
    </Card>
  );
}

function Files({ onEdit }: { readonly onEdit: (name: string) => void }) {
  const { t } = useTranslation();
  const { value } = useAnswer('task files', () => ask('GET /tasks/library'), ['event']);
  return (
    <Card title={t('lab.task.library')}>
      {value?.tasks.length === 0 ? <p className="quiet">{t('lab.task.noFiles')}</p> : null}
      <ul className="parts">
        {value?.tasks.map(({ name, version, summary }) => (
          <li key={name} className="part">
            <div className="part-words">
              <p>
                <strong>{name}</strong> <span className="quiet">{t('lab.task.version', { version })}</span>
              </p>
              <p className="quiet">{summary}</p>
            </div>
            <Button look="quiet" onPress={() => onEdit(name)}>
              {t('lab.task.edit', { name })}
            </Button>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function KeyCard() {
  const { t } = useTranslation();
  const [asking, setAsking] = useState(false);
  const { value: key, refusal } = useAnswer('task key', () => ask('GET /tasks/key'), ['event']);
  const isAdmin = useLab(({ scope }) => scope === 'admin');
  const make = () =>
    attempt(async () => {
      await ask('POST /tasks/key');
      askAgain('task key');
    });
  // Without TLS a browser offers no clipboard; the text can be selected.
  const copy = async (text: string) => {
    await navigator.clipboard.writeText(text);
    useLab.getState().say('good', 'lab.common.copied');
  };
  return (
    <Card title={t('lab.task.key')}>
      <p className="quiet">{t('lab.task.keyText')}</p>
      {refusal === null ? null : <Refused refusal={refusal} />}
      {key === null ? (
        <>
          <Note kind="info">{t('lab.task.keyOff')}</Note>
          {isAdmin ? <Button onPress={() => setAsking(true)}>{t('lab.task.makeKey')}</Button> : null}
        </>
      ) : null}
      {key ? (
        <>
          <p className="mono task-print">{key.public}</p>
          {window.isSecureContext ? (
            <Button onPress={() => void copy(key.public)}>{t('lab.task.copyKey')}</Button>
          ) : null}
        </>
      ) : null}
      {asking ? (
        <Confirm
          title={t('lab.task.makeTitle')}
          act={t('lab.task.makeKey')}
          onAct={make}
          onClose={() => setAsking(false)}
        >
          <p>{t('lab.task.makeText')}</p>
        </Confirm>
      ) : null}
    </Card>
  );
}
