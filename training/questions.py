"""Question wordings, as data: WORDINGS[skill] is one wording a line.

{x} is the name asked about; {y} another name; {f} a file; {d} a folder; {k} a kind; {v} a value; {s} a line of code; {m} what is
imported; {t} text to look for; {q} a description.  `(a|b)` stands for either.  A third of the lines, chosen by a hash of the line, is never
trained on and only measures (`side`).
"""
import hashlib
import re

WORDINGS = {}

WORDINGS['define'] = '''
where is {x} defined?
where does {x} live?
find the definition of {x}
Find {x}.
which file defines {x}?
locate {x}
Where can I find {x}?
show me where {x} is defined
I'm looking for {x}, where is it?
in which file and line is {x}?
definition of {x}?
where's {x}
Which line has the definition of {x}?
go to {x}
can you tell me where {x} is implemented?
where is {x} declared?
where do you define {x}
{x} is defined where?
what file is {x} in?
where was {x} implemented
jump to {x}
source of {x}?
path of {x}
give me the location of {x}
Tell me which line defines {x}.
I need the definition of {x}.
Could you locate {x} please?
where in the code is {x} defined?
point me to {x}
{x}: where is it?
In what file do we define {x}?
where is the code of {x}?
I want to read {x}, where is it?
find symbol {x}
Where has {x} been defined?
{x} definition
what line is {x} defined on?
Where is {x} in this repository?
lookup {x}
where is the implementation of {x}
Do you know where {x} is defined?
open {x}
where would I find the implementation of {x}?
Which source file holds {x}?
Hi, where is {x} defined? Thanks!
where is {x} coming from?
Where exactly is {x} defined?
At which line is {x} defined?
which file contains the definition of {x}?
where can I see {x} defined
Help me find the definition of {x}.
look up where {x} is defined
What is the location of {x}?
where is {x} located?
find where {x} is implemented
Which file and line define {x}?
take me to {x}
Please show me the definition of {x}
where did we define {x}?
Can you find {x}?
where do I find {x}
in which file is {x} defined
Give me the file and line of {x}.
Name the file that defines {x}.
where does the definition of {x} live
file and line of {x}?
Where is {x} implemented in this code base?
{x} where
where {x}
where's the definition for {x}?
which file should I open to see {x}?
any idea where {x} is?
where in the tree is {x} declared
I can't find {x}. Where is it?
search for the definition of {x}
what's the path and line of {x}?
where does {x} come from
which place defines {x}?
which file is {x} implemented in?
where do we have {x}?
'''

WORDINGS['define kind'] = '''
where is the {k} {x} defined?
find the {k} {x}
Where is the {k} {x}?
locate the {k} named {x}
which file has the {k} {x}?
I need the {k} {x}, where is it?
definition of the {k} {x}?
where is {x}, the {k}, defined?
go to the {k} {x}
line of the {k} {x}?
Where can I find the {k} {x}?
which line defines the {k} {x}?
show me the definition of the {k} {x}
where do you define the {k} {x}?
tell me where the {k} {x} is defined
{k} {x}: where?
where is the {k} called {x}?
find me the {k} with the name {x}
jump to the {k} {x}
where's the {x} {k}?
in which file is the {k} {x}
where is {x} ({k})?
I mean the {k} {x}. Where is it?
location of the {x} {k}
not the others, the {k} {x}: where is it defined?
'''
WORDINGS['define folder'] = '''
where is {x} defined under {d}?
find {x} in {d}
Where is the {x} from {d}?
where in {d} is {x}?
locate {x} below {d}
the definition of {x} in {d}?
In {d}, where is {x} defined?
Where does {d} define {x}?
which file in {d} defines {x}?
show me {x} in {d}
Where is {x} defined inside {d}?
where is the {x} of the folder {d}?
I mean the {x} in {d}; where is it?
which file of {d} has {x}?
go to the {x} that lives in {d}
below {d}, which line defines {x}?
where is {d}'s {x} defined?
look for {x} in {d} only
'''
WORDINGS['define file'] = '''
which line of {f} defines {x}?
locate {x} in the file {f}
where is {x} defined in {f}?
find {x} in {f}
In {f}, where is {x}?
where in {f} is {x} defined?
definition of {x} from {f}?
on which line of {f} is {x} defined?
Where does {f} define {x}?
find the definition of {x} in {f}
Please locate {x} in {f}.
line of {x} in {f}?
I want the {x} of {f}
the {x} from {f}, which line is it?
at what line does {f} define {x}
{f}: where is {x}?
jump to {x} in {f}
where's {x} inside {f}?
'''

WORDINGS['define all'] = '''
where are all the definitions of {x}?
list every definition of {x}
show all definitions of {x}
which places define {x}?
how many places define {x}, and where?
every place that defines {x}?
all definitions of {x}
Where are the different {x} defined?
list all {x}
give me each definition of {x}
there are several {x}: where are they?
find all the places where {x} is defined
which files define {x}?
I want every {x}, with file and line
name all the lines that define {x}
'''

WORDINGS['uses'] = '''
who calls {x}?
where is {x} used?
what calls {x}?
find the callers of {x}
list all uses of {x}
which functions call {x}?
callers of {x}?
show references to {x}
where do we call {x}?
Is {x} used anywhere?
usages of {x}
what uses {x}?
who uses {x}?
Where is {x} called?
show me every call of {x}
find all references to {x}
where do we use {x}
list the callers of {x}, please
Which code calls {x}?
I want to see all uses of {x}.
references of {x}
Where is {x} being called from?
what places call {x}?
Find usages of {x}.
is {x} called somewhere?
who is calling {x}?
Show the call sites of {x}.
call sites of {x}?
uses of {x}
Which files use {x}?
Could you list the places that use {x}?
what depends on {x}?
find everything that calls {x}
from where is {x} called
{x}: who calls it?
Where is {x} referenced?
tell me who uses {x}
I am changing {x}, who calls it?
which methods use {x}?
find refs {x}
Give me all callers of {x}.
does anybody call {x}?
every use of {x}?
where are the uses of {x}
what code refers to {x}
list references to {x}
Please show where {x} gets called.
Which places call {x}?
What are the callers of {x}?
show me who calls {x}
where is {x} called from?
Find every use of {x}.
list all callers of {x}
Who references {x}?
show all references to {x}
Where do we make use of {x}?
which functions use {x}?
Please list the uses of {x}.
tell me where {x} is used
what functions are calling {x}
Find all the places where {x} is called.
Can you find the callers of {x}?
Which lines call {x}?
Where is {x} used in this repository?
who makes calls to {x}?
Is {x} referenced anywhere?
Show me the places where {x} is used.
I need all the references to {x}.
What code uses {x}?
what would break if I removed {x}?
who relies on {x}?
where does {x} get invoked?
who invokes {x}
is there any caller of {x}?
can I delete {x} or is it used?
Is {x} dead code?
which lines mention {x} in code?
what happens to call {x}
xrefs of {x}
incoming calls of {x}
'''

WORDINGS['parameters'] = '''
what parameters does {x} take?
what are the arguments of {x}?
parameters of {x}
arguments of {x}?
which parameters does {x} have?
what does {x} take?
What do I pass to {x}?
list the parameters of {x}
which arguments does {x} expect?
show me the parameters of {x}
how many arguments does {x} take and which?
what must I hand to {x}?
Give me the parameter list of {x}.
what is the parameter list of {x}
{x} parameters
{x} takes what?
{x} args
tell me the arguments that {x} accepts
What arguments do I need to call {x}?
which inputs does {x} want?
what goes into {x}?
what are the inputs of {x}?
the parameters of {x}, please
Does {x} take any parameters?
does {x} need arguments?
what arguments should I pass to {x}?
how do I call {x}?
I want to call {x}: what does it need?
Which values does {x} receive?
what are the types of the arguments of {x}?
What types does {x} take?
name the parameters of {x}
could you list what {x} takes?
quote the parameters of {x}
what is passed to {x}?
arity of {x}?
arg list of {x}
formal parameters of {x}?
With which arguments is {x} declared?
which parameters are declared for {x}?
I forgot the arguments of {x}
{x}: which parameters?
what stands between the parentheses of {x}?
show the argument list of {x}
what does the function {x} accept?
which parameters has {x}
print the parameters of {x}
the arguments {x} is declared with
in what order does {x} take its arguments?
What is the first argument of {x}, and the others?
Can you tell me the parameters of {x}?
what options does {x} take as parameters?
how is {x} called, with what arguments?
remind me of the parameters of {x}
look up the parameters of {x}
what are the params of {x}
params for {x}?
which things do I give to {x}
what do callers pass to {x}?
how must {x} be called?
'''

WORDINGS['returns'] = '''
what does {x} return?
return type of {x}
what type does {x} return?
What is the return type of {x}?
what comes back from {x}?
which type does {x} give back?
{x} returns what?
what do I get from {x}?
does {x} return anything?
what is returned by {x}?
tell me what {x} returns
type returned by {x}?
What kind of value does {x} return?
the return type of {x}, please
what result does {x} have?
what does a call of {x} return?
what value comes out of {x}
what is the result type of {x}
{x} return type
show me what {x} returns
Is there a return value of {x}?
return value of {x}?
what does calling {x} give me?
which type comes out of {x}?
What type is the result of {x}?
what is {x} declared to return?
I need the return type of {x}
is {x} void?
does {x} give back a value?
What does the function {x} return?
say what {x} returns
look up the return type of {x}
what would {x} return
what type of thing is returned from {x}?
what does {x} hand back?
the type of what {x} returns
what can I expect back from {x}?
to what type do I assign the result of {x}?
which type has the result of {x}?
what is the declared return type of {x}
quote the return type of {x}
what does {x} produce?
what do callers of {x} receive?
{x} gives back what?
in what type does {x} answer?
Can you tell me the return type of {x}?
do I get something back from {x}?
what type should the variable have that holds the result of {x}?
what does {x} yield as its return type?
ret type of {x}?
how is the result of {x} typed?
what are the return values of {x}?
what is {x}'s return type?
name the type {x} returns
what sort of result does {x} have
should {x} return something?
Which type is declared as the result of {x}?
returns of {x}?
what does method {x} return?
result of {x}?
'''

WORDINGS['fields'] = '''
what fields does {x} have?
fields of {x}
which members does {x} have?
members of {x}?
what is in {x}?
what does {x} contain?
list the fields of {x}
show me the members of {x}
What are the fields of {x}?
which fields are in {x}?
what is {x} made of?
{x} fields
what does the struct {x} hold?
what data does {x} hold?
give me the fields of {x}
layout of {x}?
the members of {x}, please
which fields belong to {x}?
which attributes does {x} have?
what are the members of {x}
what is stored in {x}?
how is {x} laid out?
tell me the fields of {x}
what variables does {x} have inside?
name the fields of {x}
what properties does {x} have?
list the members of {x} with their types
What values can {x} have?
which elements does {x} have?
show the contents of {x}
what makes up {x}?
inside {x}, which fields are there?
struct {x}: which members?
enumerate the members of {x}
what does a {x} look like?
what does {x} consist of?
what does {x} store
fields and types of {x}?
which types do the fields of {x} have?
members {x}
How is {x} declared inside?
what pieces does {x} have
quote the fields of {x}
print the members of {x}
what can I find in a {x}?
what's inside {x}?
Which data members does {x} declare?
what are the contents of {x}?
I need to know the fields of {x}
can you list what {x} contains?
which fields can I set on {x}?
what does the type {x} contain
body of the struct {x}?
the parts of {x}?
field list of {x}
look up the members of {x}
how does {x} look inside
which constants are in the enum {x}?
what are the components of {x}?
does {x} have fields?
'''

WORDINGS['value'] = '''
what is the value of {x}?
value of {x}
what is {x} set to?
what does {x} equal?
how big is {x}?
what is {x} defined as?
What value does {x} have?
which value has {x}?
tell me the value of {x}
{x} = ?
{x} value
what number is {x}?
how much is {x}?
give me the value of {x}
what does {x} expand to?
what is the constant {x}?
To what is {x} defined?
what is {x} initialised to?
what's {x}?
show me the value of {x}
I need the value of {x}
what is assigned to {x}?
the value of {x}, please
which number stands behind {x}?
what does the macro {x} expand to?
look up the value of {x}
how is {x} initialised?
what is {x}'s value?
quote the value of {x}
what does {x} stand for?
what is the setting of {x}
which value does {x} start with?
what did we set {x} to?
what is the initial value of {x}?
Is {x} a number, and which?
how large is {x}
how high is {x}?
what is the default of {x}
default value of {x}?
what literal is {x}?
What is behind the name {x}?
what does the constant {x} hold?
read me the value of {x}
{x} is how much?
{x} is what?
print {x}
what is {x} equal to
at what value is {x} fixed?
which constant value does {x} carry?
what has {x} been defined to be
expansion of {x}?
can you tell me what {x} is set to?
what number did they give {x}?
what text is in {x}?
what is the content of the constant {x}?
what does {x} evaluate to as written?
how many is {x}?
the number behind {x}?
let me know the value of {x}
which limit does {x} set?
'''

WORDINGS['doc'] = '''
what does {x} do?
explain {x}
describe {x}
what is {x} for?
purpose of {x}?
tell me about {x}
how does {x} work?
Can you explain what {x} does?
summarise {x}
documentation of {x}
what does the comment of {x} say?
show me the comment above {x}
docs for {x}
what is the job of {x}?
what is the purpose of {x}?
What is {x} good for?
doc of {x}
what is documented about {x}?
quote the documentation of {x}
what is {x} supposed to do?
What happens in {x}?
read me the doc comment of {x}
does {x} have a comment?
how is {x} documented?
what is known about {x}?
why do we have {x}?
why is there {x}?
when do I use {x}?
give me the docs of {x}
describe what {x} is about
what's {x} about?
what does {x} mean?
what is the meaning of {x}?
what is the docstring of {x}?
the docstring of {x}, please
What role does {x} play?
I do not understand {x}
I want to understand {x}
help on {x}
help me understand {x}
could you describe {x}?
in a sentence, what does {x} do?
what is {x} doing?
what task does {x} have?
what is said about {x}?
show the description of {x}
explain to me what {x} is for
what does the function {x} do?
what is the idea of {x}?
man {x}
explanation of {x}
{x}: what does it do?
what do the authors say about {x}?
is {x} documented, and how?
give a short description of {x}
what should {x} do?
what should I know about {x}?
what can {x} do
what is {x} there for
info on {x}
'''

WORDINGS['file'] = '''
where is the file {x}?
find the file {x}
find {x}
which folder is {x} in?
path of {x}
where does {x} live?
full path of {x}?
Where can I find the file {x}?
locate the file {x}
is there a file {x}?
is there a file named {x}?
do we have a file called {x}?
in which folder is the file {x}?
show me the path of {x}
what is the path of {x}?
which file is called {x}?
find me {x}
where did they put {x}?
look for the file {x}
which files are named {x}?
files named {x}
list the files called {x}
Where is {x} kept?
which directory holds {x}?
give me the path to {x}
open the file {x}
locate {x} in the tree
search for the file {x}
does a file {x} exist?
does {x} exist here?
where would I find {x}?
the file {x}, where is it?
I am looking for the file {x}
find files named {x}
which paths end in {x}?
I need the path of {x}
where's {x}
tell me where the file {x} is
what folder has {x}
show files called {x}
name the path of {x}
how do I get to {x}?
which path leads to {x}?
ls {x}
whereis {x}
find . -name {x}
get me the file {x}
is {x} in this repository?
the location of the file {x}
which file has {x} in its name?
any file with the name {x}?
any files like {x}?
files whose name contains {x}
file {x}
list files matching {x}
all files named {x}
In what directory is {x}?
what files have {x} in the name
where in the repository is the file {x}?
can you find the file {x}?
'''

WORDINGS['outline'] = '''
what does {f} define?
what is in {f}?
outline of {f}
outline {f}
list the functions of {f}
which functions are in {f}?
what is defined in {f}?
show me the definitions of {f}
symbols of {f}
what does the file {f} contain?
list what {f} defines
give me an outline of {f}
which symbols does {f} define?
what's in the file {f}?
table of contents of {f}
definitions in {f}?
What can I find in {f}?
structure of {f}
show the structure of {f}
contents of {f}
what names are defined in {f}?
which names does {f} define?
what does {f} have in it?
list the symbols in {f}
overview of {f}
give me an overview of the file {f}
what classes and functions does {f} have?
which types does {f} define?
summarise the definitions of {f}
tell me what is in {f}
what is {f} made of?
functions in {f}
Which methods are in {f}?
list everything that {f} defines
what all is defined in {f}
{f}: what does it define?
{f} outline
what does {f} provide?
what does {f} declare?
what can {f} do? list its functions
which things live in {f}?
what is inside {f}
enumerate the definitions in {f}
name the functions in {f}
I want to see the outline of {f}
show me {f} in outline
please list the contents of {f}
what do we have in {f}
what does {f} offer?
which definitions are there in {f}?
the symbols of {f}, please
skeleton of {f}
what entities does {f} hold
how is {f} structured?
print an outline of {f}
list definitions {f}
what is implemented in {f}?
which code is in {f}?
show the names {f} defines
look into {f} and list what it defines
'''

WORDINGS['imports'] = '''
what does {f} import?
what does {f} include?
imports of {f}
includes of {f}?
which headers does {f} include?
which modules does {f} import?
list the imports of {f}
what is imported by {f}?
show me the imports of {f}
which files does {f} include?
what does {f} depend on?
dependencies of {f}
dependencies of the file {f}?
what is included in {f}?
what does {f} use from elsewhere?
which packages does {f} import?
What are the imports of {f}?
{f} imports
{f}: which imports?
list what {f} includes
the imports of {f}, please
what headers are in {f}
which libraries does {f} pull in?
what does {f} require?
which modules does {f} need?
what does {f} need to compile?
import list of {f}
give me the includes of {f}
what is required by {f}
show includes in {f}
tell me what {f} imports
does {f} import anything?
which other files does {f} use?
what files are pulled in by {f}
what does the file {f} bring in?
on what does {f} rely?
what are the dependencies of {f}?
which things are imported at the top of {f}?
name the imports of {f}
what import lines are in {f}?
look up the imports of {f}
every import of {f}
enumerate the includes of {f}
what #include lines does {f} have?
which use lines are in {f}?
what modules come into {f}?
print the imports of {f}
what do we import in {f}?
quote the imports of {f}
what is {f} importing?
what is {f} including
what external code does {f} use?
which names come from other modules in {f}?
What gets imported in {f}?
list dependencies {f}
which imports stand in {f}?
show the dependencies of {f}
what headers does {f} need?
does {f} include other files? which?
what's imported in {f}?
'''

WORDINGS['importers'] = '''
who imports {m}?
what imports {m}?
which files import {m}?
who includes {m}?
which files include {m}?
what includes {m}?
where is {m} imported?
where is {m} included?
importers of {m}
list the files that import {m}
list the files that include {m}
which modules use {m}?
show me what imports {m}
find all imports of {m}
find every include of {m}
what depends on {m}?
which files depend on {m}?
where do we import {m}?
where do we include {m}?
is {m} imported anywhere?
is {m} included anywhere?
who pulls in {m}?
which code imports {m}?
who needs {m}?
files importing {m}
files that require {m}
what requires {m}?
where is {m} required?
tell me who imports {m}
Who is using the module {m}?
dependents of {m}
reverse dependencies of {m}
which places import {m}
Give me all importers of {m}
every file that includes {m}?
every import of {m}?
who would break if {m} moved?
which files would I have to touch if I moved {m}?
what uses the file {m}?
what uses the header {m}?
does anything import {m}?
does any file include {m}?
can you list the importers of {m}?
find the files which import {m}
from where is {m} imported?
by whom is {m} included?
by which files is {m} imported?
name the files importing {m}
show includes of {m}
show all imports of {m}
lines that import {m}
lines which include {m}?
which lines import {m}?
how often is {m} imported, and where?
{m}: who imports it?
{m} is imported by?
where is the import of {m}
what brings in {m}?
look for imports of {m}
I am moving {m}, who imports it?
'''

WORDINGS['calls'] = '''
does {x} call {y}?
is {y} called by {x}?
does {x} use {y}?
does {x} ever call {y}?
is there a call of {y} in {x}?
do we call {y} in {x}?
Does the function {x} call {y}?
is {y} called from {x}?
is {y} used in {x}?
does {y} get called in {x}?
in {x}, is {y} called?
check whether {x} calls {y}
does {x} invoke {y}?
does {x} depend on {y}?
Is {y} used inside {x}?
tell me if {x} calls {y}
{x} calls {y}?
does {x} go through {y}?
can you check if {x} calls {y}?
I wonder if {x} calls {y}
is it true that {x} calls {y}?
does {x} contain a call to {y}?
where does {x} call {y}?
on which line does {x} call {y}?
inside {x}, do we use {y}?
does the body of {x} call {y}?
does {x} make use of {y}?
does {x} need {y}?
is {x} a caller of {y}?
is {x} one of the callers of {y}?
do we reach {y} from {x}?
is {y} invoked by {x}?
is {y} a callee of {x}?
does {x} refer to {y}?
does {x} directly call {y}?
at which line does {x} use {y}?
whether {x} calls {y}?
please check: does {x} call {y}?
has {x} a call of {y}?
will {x} call {y}?
say if {x} uses {y}
find out whether {y} is called in {x}
am I right that {x} calls {y}?
I think {x} calls {y}, does it?
is there any use of {y} within {x}?
does anything in {x} call {y}?
{y} in {x}?
could {x} be calling {y}?
from {x}, is {y} called?
is {y} among what {x} calls?
verify that {x} calls {y}
does {x} end up calling {y} itself?
do I see a call to {y} in {x}?
does {x} lead to {y} directly?
is {y} needed by {x}?
what line of {x} calls {y}?
show me where {x} calls {y}
in the code of {x}, is there {y}?
does the method {x} use {y}?
is {x} calling {y}?
'''

WORDINGS['constant edit'] = '''
change {x} to {v}
set {x} to {v}
make {x} {v}
{x} should be {v}
change the value of {x} to {v}
set the constant {x} to {v}
please set {x} to {v}
Change {x} from {w} to {v}
replace the value of {x} by {v}
update {x} to {v}
I want {x} to be {v}
let {x} be {v}
{x} must be {v}
{x} = {v}
give {x} the value {v}
define {x} as {v}
define {x} to be {v}
set {x} = {v}
put {x} at {v}
{x} needs to be {v}
adjust {x} to {v}
modify {x} so that it is {v}
bring {x} to {v}
turn {x} into {v}
edit {x}: it should be {v}
the value of {x} should become {v}
change the definition of {x} to {v}
Make the value of {x} {v}, please
{x}: {w} -> {v}
instead of {w}, {x} should be {v}
use {v} for {x}
use {v} as the value of {x}
could you set {x} to {v}?
can you change {x} to {v}?
now {x} should have the value {v}
increase or lower {x} to {v}
new value of {x}: {v}
assign {v} to {x}
set the value of {x} to {v}
I would like {x} set to {v}
switch {x} to {v}
have {x} be {v}
replace {w} by {v} in {x}
in {x}, replace {w} with {v}
rewrite the constant {x} with the value {v}
alter {x} to {v}
{x} is wrong, it should be {v}
{x} is {w} now; make it {v}
{x} was {w}, please make it {v}
redefine {x} as {v}
redefine {x} to {v}
the macro {x} should expand to {v}
initialise {x} with {v}
initialise {x} to {v} instead
make the constant {x} equal to {v}
put {v} into {x}
store {v} in the constant {x}
{x} has to become {v}
move {x} from {w} to {v}
in the code, set {x} to {v}
'''

WORDINGS['rename'] = '''
rename {x} to {y}
please rename {x} as {y}
rename {x} into {y}
change the name of {x} to {y}
{x} should be called {y}
call {x} {y} instead
replace the name {x} by {y}
give {x} the name {y}
rename the function {x} to {y}
rename the name {x} to {y}
let {x} be called {y}
I want {x} to be named {y}
{x} is a bad name, call it {y}
use the name {y} for {x}
use {y} instead of {x}
{x} -> {y}
refactor: rename {x} to {y}
can you rename {x} to {y}?
could you rename {x} to {y}?
rename symbol {x} to {y}
new name for {x}: {y}
from now on {x} is {y}
change {x}'s name to {y}
{x} needs a new name: {y}
replace every {x} with {y}
replace {x} with {y} everywhere
substitute {y} for {x}
turn the name {x} into {y}
make {x} be called {y}
the name of {x} should be {y}
do a rename of {x} to {y}
{x} must be renamed to {y}
we renamed {x}, it is {y} now; change the code
I would like to rename {x} to {y}
name it {y} rather than {x}
swap the name {x} for {y}
rename all uses of {x} to {y}
'''
WORDINGS['rename in file'] = '''
rename {x} to {y} in {f}
in {f}, rename {x} to {y}
please rename {x} as {y} in {f}
change the name of {x} to {y} in the file {f}
{f}: rename {x} to {y}
in the file {f} {x} should be called {y}
replace the name {x} by {y} in {f}
rename {x} in {f} to {y}
in {f} call {x} {y} instead
can you rename {x} to {y} inside {f}?
use the name {y} instead of {x} in {f}
rename the name {x} of {f} to {y}
within {f}, change {x} to the name {y}
in {f}, {x} should be named {y}
go to {f} and rename {x} to {y}
replace every {x} in {f} with {y}
give {x} in {f} the new name {y}
I want {x} renamed to {y} in {f}
edit {f}: {x} becomes {y}
do a rename in {f}: {x} to {y}
could you rename {x} in {f}? the new name is {y}
turn {x} into {y} in {f}, it is just a rename
for {f}: {x} -> {y}
substitute the name {y} for {x} in {f}
'''

WORDINGS['include edit'] = '''
add {s} to {f}
add the line {s} to the imports of {f}
include {m} in {f}
import {m} in {f}
add an include of {m} to {f}
add an import of {m} to {f}
{f} needs {s}
{f} should include {m}
{f} should import {m}
please add {s} to {f}
make {f} include {m}
make {f} import {m}
in {f}, add {s}
in {f}, include {m}
in {f}, import {m}
put {s} into {f}
insert {s} after the imports of {f}
{f}: add {s}
add {m} to the includes of {f}
add {m} to the imports of {f}
let {f} import {m}
let {f} include {m}
I need {m} in {f}, import it
{m} is missing in {f}, add it to the imports
the import of {m} is missing in {f}
{f} uses {m} but does not import it; add the import
add the missing {s} in {f}
append {s} to the imports in {f}
write {s} at the end of the imports of {f}
could you add {s} to {f}?
can you import {m} in {f}?
can you include {m} in {f}?
add one more import to {f}: {s}
one more include in {f}: {m}
pull {m} into {f}
bring {m} into {f}
have {f} import {m}
extend the imports of {f} by {m}
I want {f} to include {m}
we need {s} in {f}
the file {f} must import {m}
insert an include of {m} in {f}
insert the import {s} in {f}
edit {f} so that it imports {m}
edit {f} so that it includes {m}
change {f} to import {m}
change {f} to include {m}
add import {m} to file {f}
add include {m} to file {f}
new import for {f}: {m}
new import line for {f}: {s}
give {f} the import {m}
add a dependency on {m} to {f}
import {m} into {f}, please
put an import of {m} in the file {f}
{m} must be imported by {f}
{m} has to be included by {f}
place {s} below the other imports of {f}
below the imports of {f}, add {s}
also import {m} in {f}
'''

WORDINGS['early return'] = '''
return early from {x}
make {x} return early
add an early return to {x}
add {s} at the start of {x}
{x} should return at once
let {x} return immediately
put {s} first in {x}
insert {s} at the top of {x}
at the beginning of {x}, add {s}
begin {x} with {s}
{x} should start with {s}
as the first statement of {x}, put {s}
make {s} the first line of {x}
add {s} as the first line of {x}
insert {s} as the first statement in {x}
in {x}, add {s} at the very start
at the top of {x} insert {s}
start {x} with {s}
the first thing {x} does should be {s}
first thing in {x}: {s}
put the early return {s} into {x}
add the early return {s} to {x}
leave {x} early with {s}
exit {x} early: {s}
have {x} begin with {s}
{x} needs {s} at the top
please add {s} to the start of {x}
please put {s} at the beginning of {x}
edit {x} so that it starts with {s}
change {x} so that it begins with {s}
can you put {s} at the top of {x}?
could you add {s} at the start of {x}?
I want {s} as the first statement of {x}
insert at the start of {x}: {s}
before anything else, {x} should do {s}
before everything else in {x}, add {s}
prepend {s} to the body of {x}
prepend {s} to {x}
open the body of {x} with {s}
the body of {x} should open with {s}
add a guard to {x}: {s}
add the guard {s} at the top of {x}
guard {x} with {s}
short-circuit {x} with {s}
let {x} start by {s}
write {s} at the start of the function {x}
write {s} on the first line of {x}
the function {x} should first do {s}
place {s} at the head of {x}
on entry of {x}, do {s}
on entry to {x} add {s}
when {x} is entered, run {s} first
enter {s} at the top of the function {x}
add {s} right after the opening of {x}
right at the start of {x} add {s}
inside {x}, first {s}
{x}: add {s} at the top
{x}: start with {s}
modify {x}: it should start with {s}
make the function {x} start with {s}
'''

WORDINGS['log line'] = '''
add a log line to {x}: {s}
log at the start of {x} with {s}
print something when {x} is called: {s}
add the statement {s} to {x}
trace calls of {x} with {s}
add {s} to {x}
add the line {s} to {x}
put a trace into {x}: {s}
add a debug print to {x}: {s}
log every call of {x} with {s}
insert the log statement {s} in {x}
insert {s} in {x}
add logging to {x}: {s}
let {x} log with {s}
make {x} print with {s}
I want to see when {x} runs, add {s}
{x} should log: {s}
{x} should call {s}
add a call {s} to {x}
debug {x} by adding {s}
when {x} starts, log it with {s}
write a log line into {x}: {s}
instrument {x} with {s}
put {s} into {x}
put {s} into the function {x}
add the trace {s} to the function {x}
add a print at the start of {x}: {s}
have {x} report its start: {s}
at the start of {x}, log {s}
log the entry of {x} using {s}
log entry to {x} by {s}
drop {s} into {x}
could you add the log line {s} to {x}?
please add logging in {x}: {s}
insert a debugging line into {x}: {s}
show when {x} is entered: {s}
announce {x} with {s}
let the function {x} run {s} first
add one line to {x}: {s}
extend {x} by the line {s}
{x} needs the log line {s}
{x} needs logging: {s}
in {x}, log with {s}
in {x}, print with {s}
in the function {x} add {s}
record calls of {x} by {s}
add the statement {s} at the start of {x}
add a message to {x}: {s}
emit a message in {x} with {s}
output a line in {x}: {s}
tracing for {x}: {s}
insert tracing in {x}: {s}
a log line for {x}, please: {s}
log in {x}: {s}
add this to {x}: {s}
add this line at the beginning of {x}: {s}
put this line in {x}: {s}
include the statement {s} in {x}
place the log statement {s} in {x}
write {s} into {x}
'''

WORDINGS['risky'] = '''
are the calls of {x} safe?
is {x} used safely?
check every call of {x}
audit {x}
audit the calls of {x}
which calls of {x} are risky?
are there unsafe uses of {x}?
find unsafe calls of {x}
find risky uses of {x}
is any call of {x} unbounded?
which uses of {x} are bounded?
are all calls of {x} bounded?
check the uses of {x} for overflows
could {x} overflow somewhere?
can a call of {x} overflow?
judge each call of {x}
look at each call of {x}: is it bounded?
review the calls of {x} for safety
review the uses of {x} for buffer overflows
security check of {x}
security review of the calls of {x}
is {x} dangerous here?
are the uses of {x} dangerous?
which {x} calls may overflow?
do we use {x} safely?
do we call {x} in an unsafe way?
where is {x} used unsafely?
where might {x} write too much?
list the calls of {x} and say which are bounded
list the uses of {x} with a verdict
tell me for each call of {x} whether it is bounded
for every use of {x}: bounded or not?
bounded or unbounded: the calls of {x}?
examine the calls of {x}
inspect each use of {x}
assess the calls of {x}
rate the calls of {x}
is the size checked where {x} is called?
is {x} always called with a bound?
do all calls of {x} have a limit?
are there calls of {x} without a bound?
{x} without a bound anywhere?
{x}: safe or not?
{x} audit
check {x} for buffer overflows
overflow check for {x}
are we safe with {x}?
which of the {x} calls are unsafe?
can {x} be exploited here?
vulnerable uses of {x}?
any vulnerable {x} calls?
hunt for unsafe {x}
search for unbounded calls of {x}
verify that the calls of {x} are bounded
make sure {x} is called with bounds
does every {x} stay in its buffer?
is there a dangerous {x}?
how safe are the uses of {x}?
I worry about {x}, check its calls
go through the calls of {x} and judge them
'''

WORDINGS['grep'] = '''
grep {t}
grep for {t}
search for {t}
which lines contain {t}?
find the text {t}
find lines with {t}
lines with {t}
where does {t} stand?
where does the text {t} occur?
search the code for {t}
show lines that match {t}
look for {t} in the text
which lines match {t}?
where do we have the text {t}?
find all occurrences of {t}
occurrences of {t}?
list the lines that contain {t}
find {t} in the text of the files
full text search for {t}
search text: {t}
text search {t}
where is {t} written?
where is the word {t} written?
which lines have {t} in them?
give me all lines with {t}
show every line with {t}
do any lines contain {t}?
is there a line with {t}?
in which lines is {t}?
find the string {t}
search the string {t}
where is the string {t}?
where does the phrase {t} appear?
where does {t} appear?
rg {t}
ack {t}
match {t}
look up the text {t}
look for lines with {t}
scan the files for {t}
every line that mentions {t}?
which places mention {t}?
where is {t} mentioned?
find mentions of {t}
mentions of {t}?
lines containing {t}
lines matching {t}?
what lines contain {t}?
show me the lines with {t}
print the lines with {t}
regex {t}
search with the pattern {t}
search for the pattern {t}
find the pattern {t}
the pattern {t} matches where?
what matches {t}?
where in the text is {t}?
search comments and code for {t}
find the words {t}
does {t} occur anywhere?
'''

# {q} is what the function's own comment says
WORDINGS['reading'] = '''
{q}
which function does this: {q}
Find the function that does this: {q}
which function is described so: "{q}"
what is the name of the function for this? {q}
find the function: {q}
where is the function that does this? {q}
Which function is this about? {q}
a function is documented with "{q}": which one?
which function's comment is "{q}"?
the comment says "{q}". Which function is it?
name the function: {q}
search by description: {q}
I need the function for this: {q}
I am looking for code that does this: {q}
which code does the following? {q}
which function or method fits? {q}
which method does this: {q}
show me the function with this job: {q}
what do we have for this: {q}
is there a function for this? {q}
who does this: {q}
tell me which function this describes: {q}
this describes a function, which? {q}
where do we do this? {q}
where is this implemented: {q}
locate the code for: {q}
find by meaning: {q}
description: {q} Which function?
what function would you say this is? {q}
guess the function from its comment: {q}
which definition does this sentence belong to? {q}
to which function does this comment belong? {q}
"{q}" belongs to which function?
"{q}" - which function is that?
"{q}": name the function
what is called so: {q}
Where is it done? {q}
what implements this? {q}
look for the function whose job is: {q}
match this to a function: {q}
I remember only the comment: {q}
I lost a function. Its comment was: {q}
I want to read the code behind this: {q}
point me to the function that does: {q}
give me name and place of the function: {q}
give me the function that matches "{q}"
where can I find the function for: {q}
where is the code that does this: {q}
what is the function called that does this? {q}
which name has the function that does this: {q}
the function with the description "{q}"?
what function has this doc? {q}
doc: {q}
task: find the function. {q}
identify the function: {q}
identify this: {q}
go to the function for: {q}
jump to what does this: {q}
in this code, what does the following? {q}
'''

WORDINGS['decline'] = '''
write a test for {x}
add a comment to {x}
refactor {x}
fix the bug in {x}
is {x} thread safe?
make {x} faster
does {x} leak memory?
is there a bug in {x}?
when was {x} added?
who wrote {x}?
is {x} deprecated?
translate {x} to Rust
write documentation for {x}
what is the difference between {x} and {y}?
should I use {x} or {y}?
review {x}
move {x} to another file
inline {x}
how long is {x}?
why is {x} slow?
delete {x}
remove {x}
what does this repository do?
summarise this project
what is this?
hello
hi there
how are you?
what is the weather like today?
tell me a joke
who are you?
thanks!
what licence is this under?
how do I build this?
how do I run the tests?
write a README
how many files are there?
which language is this written in?
find security bugs
review the last commit
what changed yesterday?
fix the failing test
add a new feature
optimise the main loop
what is two plus two?
who is the president?
write a poem
explain the architecture
draw a diagram of the modules
what are the main components?
is this code good?
how does the network code work?
help
what can you do?
generate documentation
convert the code to Python
install the dependencies
why does the build fail?
run the program
commit my changes
update the dependencies
ok
good morning
what time is it?
explain the error handling
how is memory managed here?
give me an overview
list the features
what should I read first?
remove unused code
undo that
improve {x}
write unit tests for {x}
is {x} safe to call from a signal handler?
add error handling to {x}
split {x} into two functions
what is the meaning of life?
summarise the repository
how is the project organised?
good evening
which compiler do I need?
refactor the code
what is the capital of France?
explain this code base to me
are there any memory leaks?
how do I contribute?
thank you very much
please fix all warnings
what is new in this release?
rewrite {x} without recursion
what is the complexity of {x}?
how fast is {x}?
how often does {x} run at run time?
add a parameter to {x}
make {x} static
make {x} private
extract a function from {x}
merge {x} and {y}
swap {x} and {y}
why was {x} written this way?
who is responsible for {x}?
is {x} tested?
how do I test {x}?
what happens if {x} fails?
can {x} be called twice?
does {x} allocate memory?
does {x} block?
which thread runs {x}?
port {x} to Windows
generate a mock for {x}
write a fuzzer for {x}
benchmark {x}
profile {x}
vectorise {x}
simplify {x}
what would be a better name for {x}?
suggest a name for {x}
find duplicates of {x}
which version introduced {x}?
show the history of {x}
show me the git log
who are the authors?
which branch is this?
what is the latest tag?
revert the last change
create a pull request
merge the branches
squash my commits
resolve the conflicts
start the debugger
set a breakpoint in {x}
what does the error message mean?
why do I get a segmentation fault?
my build is broken
it does not work
the tests fail on my machine
set up continuous integration
write a Dockerfile
make a release
publish the package
what are the coding conventions here?
how is the code formatted?
reformat everything
check the spelling
translate the comments to German
write a tutorial
give me an example program
what is a good first issue?
which bugs are open?
how big is this project?
how many lines of code are there?
count the functions
what is the longest function?
which function is called most?
find dead code
find copy and paste code
how secure is this?
is the code portable?
does it run on Windows?
does it support UTF-8?
what are the performance bottlenecks?
which algorithms are used?
which design patterns are used?
compare this project with others
who uses this software?
what do you think?
do you like it?
are you a robot?
which model are you?
sing a song
tell me a story
recommend a book
what is the news?
order a pizza
solve this equation
calculate the square root of two
convert ten miles to kilometres
how do I learn programming?
what is a pointer?
what is recursion?
explain quicksort
write quicksort in C
write a regular expression for mail addresses
yes
no
stop
continue
go on
try again
never mind
bye
'''

# Declined requests are endless, so many are put together: MANNER + TASK + OBJECT.
MANNERS = ['', '', '', 'please ', 'can you ', 'could you ', 'I want you to ', 'now ', 'how do I ', 'help me to ', 'let us ',
           'you should ', 'try to ', 'would you ', 'I need to ']
TASKS = '''
refactor
rewrite
simplify
test
benchmark
profile
debug
fix
delete
remove
extend
optimise
port
translate
review
comment on
inline
move
copy
compile
run
format
clean up
speed up
shorten
reproduce
deprecate
rewrite in Rust
write a test for
write the documentation of
add a parameter to
find bugs in
think about
compare
draw
understand
update
revert
disable
enable
configure
improve
analyse
split
vectorise
lint
criticise
modernise
wrap
parallelise
write a fuzzer for
add error handling to
make a patch for
give a summary of
polish
decouple
cache the results of
find the author of
find the history of
estimate the cost of
rethink
add types to
fix the style of
make a diagram of
measure
harden
'''
OBJECTS = ['the code', 'this project', 'the tests', 'the build', 'this repository', 'the main loop', 'the parser', 'it', 'everything',
           'the memory management', 'the network layer', 'the README', 'the last commit', 'the configuration', 'the API']

# What may stand around any question: BEFORE + question, or question + AFTER.
BEFORE = ['please ', 'hey, ', 'ok, ', 'quick question: ', 'now ', 'and ', 'so ', 'Hi! ', 'Hello, ', 'next: ', 'one more: ', 'Could you tell me: ',
          'I have a question. ', 'I am new here. ', 'For a review: ', 'While reading the code I wondered: ', 'hm, ', 'good, ', 'thanks. ',
          'right, ', 'then ', 'also, ', 'first, ', 'for the release: ', 'sorry, ', 'ok next, ', 'let me ask: ', 'in this repository: ']
AFTER = ['', ' please', ', please', ' ??', '?', '.', ' Thanks!', ' thanks', ' I need it for a patch.', ' (for a review)', ' asap', ', if you can',
         ' in this repo', '?!', '...', ' Be brief.', ' just the answer', ' now']


def _digest(wording):
    return hashlib.sha256(wording.encode()).hexdigest()


def rows(text):
    return [row for row in text.strip().split('\n') if row]


def side(text, held):
    """The wordings of one side: the third with the least hashes measures, the others are trained on."""
    order = sorted(rows(text), key=_digest)
    n = len(order) // 3
    return order[:n] if held else order[n:]


def plain(wording):
    return re.sub(r'[^a-z{} ]', '', wording.lower()).strip()
