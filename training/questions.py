"""Question wordings, as data.  TRAIN lists are seen in training, HELD lists never are: they measure.

{x} is the name asked about.  QUALIFIED wordings also carry {k}, the kind, {f}, a file, or {d}, a folder.
"""

DEFINE_TRAIN = [
    'where is {x} defined?', 'Where is {x} defined', 'where does {x} live?', 'find the definition of {x}',
    'Find {x}.', 'which file defines {x}?', 'locate {x}', 'Where can I find {x}?', 'show me where {x} is defined',
    "I'm looking for {x}, where is it?", 'in which file and line is {x}?', 'definition of {x}?', "where's {x}",
    'Which line has the definition of {x}?', 'go to {x}', 'can you tell me where {x} is implemented?',
    'where is {x} declared?', 'where do you define {x}', '{x} is defined where?', 'what file is {x} in?',
    'Please find {x} for me.', 'where was {x} implemented', 'jump to {x}', 'source of {x}?', 'path of {x}',
    'give me the location of {x}', 'Tell me which line defines {x}.', 'I need the definition of {x}.',
    'Could you locate {x} please?', 'where in the code is {x} defined?', 'point me to {x}', '{x}: where is it?',
    'In what file do we define {x}?', 'where is the code of {x}?', 'I want to read {x}, where is it?',
    'find symbol {x}', 'Where has {x} been defined?', '{x} definition', 'what line is {x} defined on?',
    'Where is {x} in this repository?', 'lookup {x}', 'where is the implementation of {x}',
    'Do you know where {x} is defined?', 'open {x}', 'where would I find the implementation of {x}?',
    'Which source file holds {x}?', 'Hi, where is {x} defined? Thanks!', 'where is {x} coming from?',
]
DEFINE_HELD = [
    'Where exactly is {x} defined?', 'At which line is {x} defined?', 'which file contains the definition of {x}?',
    'where can I see {x} defined', 'Help me find the definition of {x}.', 'look up where {x} is defined',
    'What is the location of {x}?', 'where is {x} located?', 'find where {x} is implemented',
    'Which file and line define {x}?', 'Where is the definition of {x}, please?', 'take me to {x}',
    'Please show me the definition of {x}', 'where did we define {x}?', 'Can you find {x}?', 'where do I find {x}',
    "Where's {x} implemented?", 'in which file is {x} defined', 'Give me the file and line of {x}.',
    'Could you tell me where {x} is defined?', 'Name the file that defines {x}.', 'where does the definition of {x} live',
    'file and line of {x}?', 'Where is {x} implemented in this code base?',
]
QUALIFIED_TRAIN = [
    'where is the {k} {x} defined?', 'find the {k} {x}', 'Where is the {k} {x}?', 'locate the {k} named {x}',
    'which file has the {k} {x}?', 'I need the {k} {x}, where is it?', 'definition of the {k} {x}?',
    'where is {x}, the {k}, defined?', 'go to the {k} {x}', 'line of the {k} {x}?',
    'where is {x} defined under {d}?', 'find {x} in {d}', 'Where is the {x} from {d}?', 'where in {d} is {x}?',
    'locate {x} below {d}', 'the definition of {x} in {d}?', 'In {d}, where is {x} defined?',
    'which line of {f} defines {x}?', 'locate {x} in the file {f}', 'where is {x} defined in {f}?',
    'find {x} in {f}', 'In {f}, where is {x}?', 'where in {f} is {x} defined?', 'definition of {x} from {f}?',
]
QUALIFIED_HELD = [
    'Where can I find the {k} {x}?', 'which line defines the {k} {x}?', 'show me the definition of the {k} {x}',
    'where do you define the {k} {x}?', 'tell me where the {k} {x} is defined',
    'Where does {d} define {x}?', 'which file in {d} defines {x}?', 'show me {x} in {d}',
    'Where is {x} defined inside {d}?', 'on which line of {f} is {x} defined?', 'Where does {f} define {x}?',
    'find the definition of {x} in {f}', 'Please locate {x} in {f}.',
]
USES_TRAIN = [
    'who calls {x}?', 'Who calls {x}', 'where is {x} used?', 'what calls {x}?', 'find the callers of {x}',
    'list all uses of {x}', 'which functions call {x}?', 'callers of {x}?', 'show references to {x}',
    'where do we call {x}?', 'Is {x} used anywhere?', 'usages of {x}', 'what uses {x}?', 'who uses {x}?',
    'Where is {x} called?', 'show me every call of {x}', 'find all references to {x}', 'where do we use {x}',
    'list the callers of {x}, please', 'Which code calls {x}?', 'I want to see all uses of {x}.',
    'references of {x}', 'Where is {x} being called from?', 'what places call {x}?', 'Find usages of {x}.',
    'is {x} called somewhere?', 'who is calling {x}?', 'Show the call sites of {x}.', 'call sites of {x}?',
    'uses of {x}', 'Which files use {x}?', 'Could you list the places that use {x}?', 'what depends on {x}?',
    'find everything that calls {x}', 'from where is {x} called', '{x}: who calls it?', 'Where is {x} referenced?',
    'tell me who uses {x}', 'I am changing {x}, who calls it?', 'which methods use {x}?', 'find refs {x}',
    'Give me all callers of {x}.', 'does anybody call {x}?', 'every use of {x}?', 'where are the uses of {x}',
    'what code refers to {x}', 'list references to {x}', 'Please show where {x} gets called.',
]
USES_HELD = [
    'Which places call {x}?', 'What are the callers of {x}?', 'show me who calls {x}', 'where is {x} called from?',
    'Find every use of {x}.', 'list all callers of {x}', 'Who references {x}?', 'show all references to {x}',
    'Where do we make use of {x}?', 'which functions use {x}?', 'Please list the uses of {x}.',
    'tell me where {x} is used', 'what functions are calling {x}', 'Find all the places where {x} is called.',
    'show usages of {x}', 'Can you find the callers of {x}?', 'Which lines call {x}?', 'all call sites of {x}',
    'Where is {x} used in this repository?', 'who makes calls to {x}?', 'Is {x} referenced anywhere?',
    'Show me the places where {x} is used.', 'I need all the references to {x}.', 'What code uses {x}?',
]
DECLINE_TRAIN = [
    'what does {x} do?', 'explain {x}', 'describe {x}', 'what is {x} for?', 'purpose of {x}?', 'tell me about {x}',
    'how does {x} work?', 'Can you explain what {x} does?', 'summarise {x}', 'why does {x} return NULL?',
    'what parameters does {x} take?', 'what are the arguments of {x}?', 'signature of {x}?', 'how do I call {x}?',
    'rename {x} to {y}', 'please rename {x} as {y}', 'change {x} from 3 to 4', 'set {x} to 10', 'delete {x}',
    'write a test for {x}', 'add a comment to {x}', 'refactor {x}', 'fix the bug in {x}', 'is {x} thread safe?',
    'make {x} faster', 'does {x} leak memory?', 'what type does {x} return?', 'is there a bug in {x}?',
    'when was {x} added?', 'who wrote {x}?', 'is {x} deprecated?', 'translate {x} to Rust', 'document {x}',
    'replace {x} by {y}', 'what is the difference between {x} and {y}?', 'should I use {x} or {y}?',
    'review {x}', 'move {x} to another file', 'inline {x}', 'how long is {x}?', 'why is {x} slow?',
    'what does this repository do?', 'summarise this project', 'what is this?', 'hello', 'hi there',
    'how are you?', 'what is the weather like today?', 'tell me a joke', 'who are you?', 'thanks!',
    'what licence is this under?', 'how do I build this?', 'how do I run the tests?', 'write a README',
    'how many files are there?', 'which language is this written in?', 'find security bugs', 'review the last commit',
    'what changed yesterday?', 'fix the failing test', 'add a new feature', 'optimise the main loop', 'what is 2 + 2?',
    'who is the president?', 'write a poem', 'explain the architecture', 'draw a diagram of the modules',
    'what are the main components?', 'is this code good?', 'how does the network code work?', 'help',
    'what can you do?', 'generate documentation', 'convert the code to Python', 'install the dependencies',
    'why does the build fail?', 'run the program', 'commit my changes', 'update the dependencies', 'ok',
    'good morning', 'what time is it?', 'explain the error handling', 'how is memory managed here?',
    'give me an overview', 'list the features', 'what should I read first?', 'remove unused code', 'undo that',
]
DECLINE_HELD = [
    'what happens inside {x}?', 'Can you describe how {x} works?', 'give me a summary of {x}', 'improve {x}',
    'what does {x} return?', 'change the name of {x} to {y}', 'write unit tests for {x}', 'why do we need {x}?',
    'is {x} safe to call from a signal handler?', 'add error handling to {x}', 'split {x} into two functions',
    'what is the meaning of life?', 'summarise the repository', 'how is the project organised?', 'good evening',
    'which compiler do I need?', 'refactor the code', 'what is the capital of France?', 'explain this code base to me',
    'are there any memory leaks?', 'how do I contribute?', 'thank you very much', 'please fix all warnings',
    'what is new in this release?',
]

# Declined requests are endless, so most are put together: MANNER + TASK + OBJECT.
MANNERS = ['', '', '', 'please ', 'can you ', 'could you ', 'I want you to ', 'now ', 'how do I ', 'help me to ', 'let us ',
           'you should ', 'try to ', 'would you ', 'I need to ']
TASKS_TRAIN = [
    'explain', 'describe', 'summarise', 'document', 'refactor', 'rewrite', 'simplify', 'test', 'benchmark', 'profile',
    'debug', 'fix', 'rename', 'delete', 'remove', 'extend', 'optimise', 'port', 'translate', 'review', 'comment on', 'inline',
    'move', 'copy', 'compile', 'run', 'format', 'clean up', 'speed up', 'shorten', 'reproduce', 'deprecate', 'rewrite in Rust',
    'write a test for', 'write the documentation of', 'add logging to', 'add a parameter to', 'find bugs in', 'change',
    'think about', 'compare', 'draw', 'print', 'replace', 'understand', 'update', 'revert', 'disable', 'enable', 'configure',
]
TASKS_HELD = ['improve', 'analyse', 'split', 'vectorise', 'lint', 'critique', 'modernise', 'wrap', 'parallelise', 'audit',
              'write a fuzzer for', 'add error handling to', 'make a patch for', 'give a summary of', 'polish']
OBJECTS = ['the code', 'this project', 'the tests', 'the build', 'this repository', 'the main loop', 'the parser', 'it', 'everything',
           'the memory management', 'the network layer', 'the README', 'the last commit', 'the configuration', 'the API']
