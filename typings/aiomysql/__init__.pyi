# The part of aiomysql 0.3 that this project uses; the library itself carries no types.

from aiomysql.connection import Connection as Connection
from aiomysql.connection import connect as connect
from aiomysql.cursors import Cursor as Cursor
from aiomysql.cursors import DictCursor as DictCursor
from aiomysql.cursors import SSCursor as SSCursor
from aiomysql.cursors import SSDictCursor as SSDictCursor
from aiomysql.pool import Pool as Pool
from aiomysql.pool import create_pool as create_pool
from pymysql.err import DatabaseError as DatabaseError
from pymysql.err import DataError as DataError
from pymysql.err import Error as Error
from pymysql.err import IntegrityError as IntegrityError
from pymysql.err import InterfaceError as InterfaceError
from pymysql.err import InternalError as InternalError
from pymysql.err import MySQLError as MySQLError
from pymysql.err import NotSupportedError as NotSupportedError
from pymysql.err import OperationalError as OperationalError
from pymysql.err import ProgrammingError as ProgrammingError
from pymysql.err import Warning as Warning
